// Samplers, one per request, and the sampling of all rows of a step in one call.
#include "internal.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

namespace {

using sampler_ptr = std::unique_ptr<hutch_sampler, void (*)(hutch_sampler *)>;

void add(hutch_sampler & sampler, llama_sampler * part) {
    if (part == nullptr) {
        throw std::runtime_error("make a sampler");
    }
    llama_sampler_chain_add(sampler.chain, part);
}

// Takes tokens out that the vocabulary says are never to be sampled. True when there are any.
bool add_suppressed(hutch_sampler & sampler, const llama_vocab * vocab) {
    int32_t count = 0;
    const llama_token * tokens = llama_vocab_get_suppress_tokens(vocab, &count);
    std::vector<llama_logit_bias> biases;
    for (int32_t i = 0; i < count; i++) {
        biases.push_back({ tokens[i], -INFINITY });
    }
    if (count > 0) {
        add(sampler, llama_sampler_init_logit_bias(llama_vocab_n_tokens(vocab), count, biases.data()));
    }
    return count > 0;
}

// Index of the largest logit, -1 when there is none that is a number.
int32_t likeliest(const float * logits, int32_t count) {
    int32_t best = -1;
    for (int32_t i = 0; i < count; i++) {
        if (!std::isnan(logits[i]) && (best < 0 || logits[i] > logits[best])) {
            best = i;
        }
    }
    return best >= 0 && std::isfinite(logits[best]) ? best : -1;
}

} // namespace

hutch_sampler * hutch_sampler_init(const hutch_model * model, uint32_t seed, float temperature, int32_t top_k, float top_p, float min_p, float typical_p, int32_t repeat_last_n, float repeat_penalty, float presence_penalty, float frequency_penalty, int32_t mirostat, float mirostat_tau, float mirostat_eta) {
    return hutch::guarded([&] {
        sampler_ptr sampler(new hutch_sampler(), hutch_sampler_free);
        sampler->vocab = model->vocab;
        sampler->chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
        const int32_t vocabulary = llama_vocab_n_tokens(model->vocab);
        const int32_t last_n     = repeat_last_n < 0 ? static_cast<int32_t>(llama_n_ctx_seq(model->context)) : repeat_last_n;
        const bool penalties = last_n > 0 && ((repeat_penalty > 0 && repeat_penalty != 1.0f) || presence_penalty != 0.0f || frequency_penalty != 0.0f);
        // The order is llama-common's, so that the same options give the same text.
        const bool suppresses = add_suppressed(*sampler, model->vocab);
        if (penalties) {
            add(*sampler, llama_sampler_init_penalties(vocabulary, last_n, repeat_penalty > 0 ? repeat_penalty : 1.0f, frequency_penalty, presence_penalty));
        }
        if (temperature <= 0) {
            sampler->greedy = !penalties && !suppresses;
            add(*sampler, llama_sampler_init_greedy());
        } else if (mirostat == 1) {
            add(*sampler, llama_sampler_init_temp(temperature));
            add(*sampler, llama_sampler_init_mirostat(vocabulary, seed, mirostat_tau, mirostat_eta, 100));
        } else if (mirostat == 2) {
            add(*sampler, llama_sampler_init_temp(temperature));
            add(*sampler, llama_sampler_init_mirostat_v2(seed, mirostat_tau, mirostat_eta));
        } else {
            if (top_k > 0) {
                add(*sampler, llama_sampler_init_top_k(top_k));
            }
            if (typical_p < 1) {
                add(*sampler, llama_sampler_init_typical(typical_p, 1));
            }
            if (top_p < 1) {
                add(*sampler, llama_sampler_init_top_p(top_p, 1));
            }
            if (min_p > 0) {
                add(*sampler, llama_sampler_init_min_p(min_p, 1));
            }
            add(*sampler, llama_sampler_init_temp(temperature));
            add(*sampler, llama_sampler_init_dist(seed));
        }
        return sampler.release();
    }, static_cast<hutch_sampler *>(nullptr));
}

void hutch_sampler_free(hutch_sampler * sampler) {
    if (sampler == nullptr) {
        return;
    }
    if (sampler->chain != nullptr) {
        llama_sampler_free(sampler->chain);
    }
    hutch_llg_matcher_free(sampler->matcher);
    delete sampler;
}

int32_t hutch_sampler_accept(hutch_sampler * sampler, const int32_t * tokens, int32_t count) {
    return hutch::guarded([&] {
        for (int32_t i = 0; i < count && !sampler->greedy; i++) {
            llama_sampler_accept(sampler->chain, tokens[i]);
        }
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

int32_t hutch_sample(hutch_model * model, int32_t count, const int32_t * rows, const int64_t * samplers, int32_t * tokens, uint8_t * ends, char * pieces, int32_t stride, int32_t * lengths) {
    return hutch::guarded([&] {
        const int32_t vocabulary = llama_vocab_n_tokens(model->vocab);
        int32_t status = HUTCH_STATUS_OK;
        for (int32_t i = 0; i < count; i++) {
            auto * sampler = reinterpret_cast<hutch_sampler *>(static_cast<intptr_t>(samplers[i]));
            const float * logits = llama_get_logits_ith(model->context, rows[i]);
            // A row of NaN would make every sampler undefined: it is refused instead.
            const int32_t best = logits == nullptr ? -1 : likeliest(logits, vocabulary);
            if (best < 0) {
                tokens[i]  = -1;
                ends[i]    = 1;
                lengths[i] = 0;
                status = hutch::fail(HUTCH_STATUS_ERROR, "the model computed no finite logits");
                continue;
            }
            const int32_t token = sampler->matcher != nullptr ? hutch::sample_constrained(*sampler, logits, vocabulary)
                                  : sampler->greedy           ? best
                                                              : llama_sampler_sample(sampler->chain, model->context, rows[i]);
            if (token < 0) {
                tokens[i]  = token;
                ends[i]    = 1;
                lengths[i] = 0;
                status = hutch::fail(HUTCH_STATUS_ERROR, sampler->failure);
                continue;
            }
            tokens[i]  = token;
            ends[i]    = llama_vocab_is_eog(model->vocab, token) ? 1 : 0;
            lengths[i] = ends[i] != 0 ? 0 : llama_token_to_piece(model->vocab, token, pieces + static_cast<int64_t>(i) * stride, stride, 0, false);
        }
        return status;
    });
}

int32_t hutch_logprobs(hutch_model * model, int32_t row, int32_t token, int32_t top, int32_t * tokens, float * logprobs) {
    return hutch::guarded([&] {
        const float * logits = llama_get_logits_ith(model->context, row);
        const int32_t vocabulary = llama_vocab_n_tokens(model->vocab);
        if (logits == nullptr || token < 0 || token >= vocabulary) {
            return hutch::fail(HUTCH_STATUS_INVALID, "no logits at this row");
        }
        const float largest = *std::max_element(logits, logits + vocabulary);
        double sum = 0;
        for (int32_t i = 0; i < vocabulary; i++) {
            sum += std::exp(static_cast<double>(logits[i] - largest));
        }
        const double log_sum = largest + std::log(sum);
        const int32_t wanted = std::min(std::max(top, 0), vocabulary);
        std::vector<int32_t> order(static_cast<size_t>(vocabulary));
        for (int32_t i = 0; i < vocabulary; i++) {
            order[static_cast<size_t>(i)] = i;
        }
        if (wanted > 0) {
            std::partial_sort(order.begin(), order.begin() + wanted, order.end(), [&](int32_t a, int32_t b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); });
        }
        tokens[0]   = token;
        logprobs[0] = static_cast<float>(logits[token] - log_sum);
        for (int32_t i = 0; i < wanted; i++) {
            tokens[i + 1]   = order[static_cast<size_t>(i)];
            logprobs[i + 1] = static_cast<float>(logits[tokens[i + 1]] - log_sum);
        }
        return wanted + 1;
    });
}

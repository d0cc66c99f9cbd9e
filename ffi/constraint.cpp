// Constraints: compiled on threads of the engine in llguidance/, held per sampler, applied before
// every other sampler.
#include "internal.hpp"

#include <algorithm>
#include <bitset>
#include <cmath>
#include <cstdlib>

namespace {

std::string engine_error() {
    char         buffer[512];
    const size_t length = hutch_llg_last_error(buffer, sizeof buffer);
    return std::string(buffer, std::min(length, sizeof buffer));
}

const uint8_t * bytes(const char * text) {
    return reinterpret_cast<const uint8_t *>(text);
}

// Called by the engine from its threads; llama_tokenize keeps no state.
size_t tokenize(const void * user, const uint8_t * text, size_t length, uint32_t * tokens, size_t capacity) {
    const auto *  vocab = static_cast<const llama_vocab *>(user);
    const int32_t count = llama_tokenize(vocab, reinterpret_cast<const char *>(text), static_cast<int32_t>(length), reinterpret_cast<int32_t *>(tokens), static_cast<int32_t>(capacity), false, false);
    return count < 0 ? 0 : static_cast<size_t>(count);
}

// Whether the tokenizer makes a token of the token's own text, a blank in front aside.
bool makes_again(const llama_vocab * vocab, llama_token token, const std::string & text) {
    llama_token found[2];
    const auto  is_it = [&](const char * from, size_t length) {
        return llama_tokenize(vocab, from, static_cast<int32_t>(length), found, 2, false, false) == 1 && found[0] == token;
    };
    return is_it(text.data(), text.size()) || (text[0] == ' ' && is_it(text.data() + 1, text.size() - 1));
}

// Tokens may be forced only where the model writes texts as its tokenizer cuts them. A vocabulary whose
// tokenizer does not make its own words again says that it was not trained so. A few words tell.
bool cuts_as_it_writes(const llama_vocab * vocab) {
    const int32_t count = llama_vocab_n_tokens(vocab);
    const int32_t step  = std::max(1, count / 256);
    std::string   text(64, '\0');
    int32_t       looked = 0;
    int32_t       same   = 0;
    for (int32_t token = 0; token < count; token += step) {
        const int32_t length = llama_token_to_piece(vocab, token, text.data(), static_cast<int32_t>(text.size()), 0, false);
        if (length < 3 || (llama_vocab_get_attr(vocab, token) & LLAMA_TOKEN_ATTR_NORMAL) == 0) {
            continue;
        }
        looked++;
        same += makes_again(vocab, token, text.substr(0, static_cast<size_t>(length))) ? 1 : 0;
    }
    return looked == 0 || same * 2 >= looked;
}

// Bytes of a token, none for control tokens.
std::string piece_of(const llama_vocab * vocab, llama_token token) {
    std::string   piece(64, '\0');
    const int32_t length = llama_token_to_piece(vocab, token, piece.data(), static_cast<int32_t>(piece.size()), 0, false);
    piece.resize(static_cast<size_t>(std::abs(length)));
    if (length < 0) {
        llama_token_to_piece(vocab, token, piece.data(), -length, 0, false);
    }
    return piece;
}

// Control tokens get no bytes and so never come, but for those that end a text. Nor do tokens for single
// bytes where a word of the vocabulary is the same: the model has learned that word, and never saw the
// other. Where texts are only judged, not written, single bytes follow the vocabulary: any text can then
// be told token by token.
hutch_llg_vocabulary * make_vocabulary(const llama_vocab * vocab, bool judges) {
    const int32_t            count = llama_vocab_n_tokens(vocab);
    std::vector<std::string> texts;
    std::bitset<256>         words;
    std::vector<uint32_t>    ends;
    const auto is_byte = [&](llama_token token) { return (llama_vocab_get_attr(vocab, token) & LLAMA_TOKEN_ATTR_BYTE) != 0; };
    for (int32_t token = 0; token < count; token++) {
        const bool end = llama_vocab_is_eog(vocab, token);
        texts.push_back(end ? "" : piece_of(vocab, token));
        if (end) {
            ends.push_back(static_cast<uint32_t>(token));
        } else if (texts.back().size() == 1 && !is_byte(token)) {
            words.set(static_cast<uint8_t>(texts.back()[0]));
        }
    }
    std::vector<uint8_t>  pieces;
    std::vector<uint32_t> lengths;
    for (int32_t token = 0; token < count; token++) {
        const std::string & text  = texts[static_cast<size_t>(token)];
        const bool          again = text.size() == 1 && is_byte(token) && words.test(static_cast<uint8_t>(text[0]));
        const size_t        size  = again ? 0 : text.size();
        pieces.insert(pieces.end(), text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
        lengths.push_back(static_cast<uint32_t>(size));
    }
    for (int32_t byte = 0; judges && byte < 256; byte++) {
        pieces.push_back(static_cast<uint8_t>(byte));
        lengths.push_back(1);
    }
    if (ends.empty()) {
        throw std::runtime_error("the model has no token that ends a text: an answer cannot be constrained");
    }
    auto * made = hutch_llg_vocabulary_init(pieces.data(), lengths.data(), lengths.size(), ends.data(), ends.size(), cuts_as_it_writes(vocab) ? tokenize : nullptr, vocab);
    if (made == nullptr) {
        throw std::runtime_error(engine_error());
    }
    return made;
}

} // namespace

hutch_compilation * hutch_compile_start(hutch_model * model, const char * kind, const char * text, int32_t length) {
    return hutch::guarded([&] {
        if (model->words == nullptr) {
            model->words = make_vocabulary(model->vocab, model->context == nullptr);
        }
        const std::string name = kind;
        auto *            job  = hutch_llg_compile_start(model->words, bytes(name.data()), name.size(), bytes(text), static_cast<size_t>(length));
        if (job == nullptr) {
            throw std::runtime_error(engine_error());
        }
        return new hutch_compilation{ job, model->words, nullptr };
    }, static_cast<hutch_compilation *>(nullptr));
}

int32_t hutch_compile_done(hutch_compilation * compilation) {
    return hutch::guarded([&] {
        if (compilation->result != nullptr) {
            return 1;
        }
        const int32_t state = hutch_llg_compile_take(compilation->job, &compilation->result);
        return state < 0 ? hutch::fail(HUTCH_STATUS_ERROR, engine_error()) : state;
    });
}

hutch_constraint * hutch_compile_take(hutch_compilation * compilation) {
    return hutch::guarded([&] {
        if (compilation->result == nullptr) {
            throw std::runtime_error("the constraint is not compiled yet");
        }
        auto * constraint   = new hutch_constraint{ compilation->result, compilation->words };
        compilation->result = nullptr;
        return constraint;
    }, static_cast<hutch_constraint *>(nullptr));
}

void hutch_compile_free(hutch_compilation * compilation) {
    if (compilation == nullptr) {
        return;
    }
    hutch_llg_compile_free(compilation->job);
    if (compilation->result != nullptr) {
        hutch_llg_compiled_free(compilation->result);
    }
    delete compilation;
}

int32_t hutch_constraint_describe(const hutch_constraint * constraint, char * buffer, int32_t size) {
    return static_cast<int32_t>(hutch_llg_describe(constraint->compiled, buffer, static_cast<size_t>(size)));
}

int32_t hutch_constraint_accepts(const hutch_constraint * constraint, const char * text, int32_t length) {
    const int32_t accepts = hutch_llg_accepts(constraint->words, constraint->compiled, bytes(text), static_cast<size_t>(length));
    return accepts < 0 ? hutch::fail(HUTCH_STATUS_ERROR, engine_error()) : accepts;
}

int32_t hutch_constraint_validate(const hutch_constraint * constraint, const char * text, int32_t length, char * buffer, int32_t size) {
    const std::ptrdiff_t found = hutch_llg_validate(constraint->compiled, bytes(text), static_cast<size_t>(length), buffer, static_cast<size_t>(size));
    return found < 0 ? hutch::fail(HUTCH_STATUS_ERROR, engine_error()) : static_cast<int32_t>(found);
}

void hutch_constraint_free(hutch_constraint * constraint) {
    if (constraint != nullptr) {
        hutch_llg_compiled_free(constraint->compiled);
        delete constraint;
    }
}

int32_t hutch_sampler_constrain(hutch_sampler * sampler, const hutch_constraint * constraint) {
    return hutch::guarded([&] {
        hutch_llg_matcher * matcher = nullptr;
        if (constraint != nullptr) {
            matcher = hutch_llg_matcher_init(constraint->compiled);
            if (matcher == nullptr) {
                return hutch::fail(HUTCH_STATUS_ERROR, engine_error());
            }
        }
        hutch_llg_matcher_free(sampler->matcher);
        sampler->matcher = matcher;
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

int32_t hutch_sampler_feed(hutch_sampler * sampler, const int32_t * tokens, int32_t count) {
    return hutch::guarded([&] {
        for (int32_t i = 0; i < count; i++) {
            const int32_t taken = hutch_llg_commit(sampler->matcher, static_cast<uint32_t>(tokens[i]));
            if (taken < 0) {
                return hutch::fail(HUTCH_STATUS_ERROR, engine_error());
            }
            if (taken == 0) {
                return 0;
            }
        }
        return 1;
    });
}

int32_t hutch_sampler_forced(hutch_sampler * sampler, int32_t * tokens, int32_t capacity) {
    return hutch::guarded([&] {
        const std::ptrdiff_t count = hutch_llg_forced(sampler->matcher, reinterpret_cast<uint32_t *>(tokens), static_cast<size_t>(capacity));
        if (count < 0) {
            return hutch::fail(HUTCH_STATUS_ERROR, engine_error());
        }
        const auto forced = static_cast<int32_t>(count);
        const int32_t fed = hutch_sampler_feed(sampler, tokens, forced);
        if (fed == 0) {
            return hutch::fail(HUTCH_STATUS_ERROR, "the constraint engine refused a token that it had demanded");
        }
        if (fed < 0) {
            return fed;
        }
        hutch_sampler_accept(sampler, tokens, forced);
        return forced;
    });
}

int32_t hutch_sampler_over(const hutch_sampler * sampler) {
    if (hutch_llg_stopped(sampler->matcher) == 1) {
        return 1;
    }
    return hutch_llg_accepting(sampler->matcher) == 1 ? 2 : 0;
}

namespace {

// The likeliest of the tokens whose bits are set, -1 when none of them has a number.
int32_t likeliest_allowed(const std::vector<uint32_t> & mask, const float * logits, int32_t vocabulary) {
    int32_t best = -1;
    for (size_t word = 0; word < mask.size(); word++) {
        auto token = static_cast<int32_t>(word * 32);
        for (uint32_t bits = mask[word]; bits != 0 && token < vocabulary; bits >>= 1, token++) {
            if ((bits & 1) != 0 && !std::isnan(logits[token]) && (best < 0 || logits[token] > logits[best])) {
                best = token;
            }
        }
    }
    return best;
}

// Only tokens that may come become candidates: the logits stay as they are, for log probabilities.
int32_t choose_allowed(hutch_sampler & sampler, const float * logits, int32_t vocabulary) {
    sampler.candidates.clear();
    for (size_t word = 0; word < sampler.mask.size(); word++) {
        auto token = static_cast<int32_t>(word * 32);
        for (uint32_t bits = sampler.mask[word]; bits != 0 && token < vocabulary; bits >>= 1, token++) {
            if ((bits & 1) != 0 && !std::isnan(logits[token])) {
                sampler.candidates.push_back({ token, logits[token], 0.0f });
            }
        }
    }
    if (sampler.candidates.empty()) {
        return -1;
    }
    llama_token_data_array all = { sampler.candidates.data(), sampler.candidates.size(), -1, false };
    llama_sampler_apply(sampler.chain, &all);
    if (all.selected < 0 || static_cast<size_t>(all.selected) >= all.size) {
        return -1;
    }
    const int32_t token = all.data[all.selected].id;
    llama_sampler_accept(sampler.chain, token);
    return token;
}

} // namespace

int32_t hutch::sample_constrained(hutch_sampler & sampler, const float * logits, int32_t vocabulary) {
    sampler.mask.resize((static_cast<size_t>(vocabulary) + 31) / 32);
    if (hutch_llg_mask(sampler.matcher, sampler.mask.data(), sampler.mask.size()) < 0) {
        sampler.failure = engine_error();
        return -2;
    }
    const int32_t token = sampler.greedy ? likeliest_allowed(sampler.mask, logits, vocabulary) : choose_allowed(sampler, logits, vocabulary);
    if (token < 0) {
        sampler.failure = "none of the tokens that may come has a finite logit";
        return -2;
    }
    if (llama_vocab_is_eog(sampler.vocab, token)) {
        return token; // allowed, so the text is whole
    }
    const int32_t taken = hutch_llg_commit(sampler.matcher, static_cast<uint32_t>(token));
    if (taken != 1) {
        sampler.failure = taken < 0 ? engine_error() : "the constraint engine refused a token that it had allowed";
        return -2;
    }
    return token;
}

int32_t hutch_sampler_failure(const hutch_sampler * sampler, char * buffer, int32_t size) {
    return hutch::copy_text(sampler->failure, buffer, size);
}

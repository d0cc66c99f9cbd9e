// Drafting: guesses at the tokens to come, that a step of the model then judges. By the n-grams of what
// came before, or by a small draft model; both are llama-common's.
#include "internal.hpp"

#include "common.h"
#include "ngram-cache.h"
#include "speculative.h"

#include <algorithm>
#include <cstring>

namespace hutch {

// A loaded draft model. Its context holds one sequence: that of whoever drafted last.
struct draft_model {
    llama_model *          model   = nullptr;
    llama_context *        context = nullptr;
    common_speculative_ptr guesser;
    llama_batch            batch = {};
    llama_tokens           held; // what the sequence holds

    ~draft_model() {
        guesser.reset();
        llama_batch_free(batch);
        if (context != nullptr) {
            llama_free(context);
        }
        llama_model_free(model);
    }
};

void draft_model_deleter::operator()(draft_model * draft) const {
    delete draft;
}

namespace {

// Tokens that a draft model reads in one step: more cost memory and gain little.
constexpr uint32_t most_rows = 128;
// Guesses of one call, whatever is asked for.
constexpr int32_t most_guesses = 64;

// Draft models of these kinds read what goes on inside the model that they draft for.
bool reads_insides(const llama_model * model) {
    char text[64] = "";
    llama_model_meta_val_str(model, "general.architecture", text, sizeof text);
    const std::string name = text;
    return name == "eagle3" || name == "dflash" || name == "gemma4-assistant";
}

void check_draft_model(const llama_model * model) {
    if (reads_insides(model)) {
        throw std::runtime_error("it is no language model by itself");
    }
    if (llama_model_is_recurrent(model) || llama_model_is_hybrid(model)) {
        throw std::runtime_error("its memory cannot forget wrong guesses");
    }
    if (!llama_model_has_decoder(model) || llama_model_has_encoder(model)) {
        throw std::runtime_error("it does not generate text");
    }
}

} // namespace

draft_model_ptr load_draft_model(const hutch_params & params, llama_context * target, ggml_threadpool * threads) {
    draft_model_ptr draft(new draft_model());
    device_plan plan;
    plan.params = params.model;
    plan.keeps_off();
    draft->model = llama_model_load_from_file(params.draft.c_str(), plan.params);
    if (draft->model == nullptr) {
        throw std::runtime_error("unable to load it");
    }
    check_draft_model(draft->model);
    llama_context_params context = params.context;
    context.no_perf       = true;
    context.embeddings    = false;
    context.n_ctx         = static_cast<uint32_t>(params.context_length);
    context.n_seq_max     = 1;
    context.n_batch       = std::min(context.n_batch, most_rows);
    context.n_ubatch      = context.n_batch;
    context.n_outputs_max = 1;
    draft->context = llama_init_from_model(draft->model, context);
    if (draft->context == nullptr || llama_get_memory(draft->context) == nullptr) {
        throw std::runtime_error("unable to create its context");
    }
    if (threads != nullptr) {
        llama_attach_threadpool(draft->context, threads, nullptr);
    }
    draft->batch = llama_batch_init(static_cast<int32_t>(context.n_batch), 0, 1);
    common_params_speculative wanted;
    wanted.types         = { COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE };
    wanted.draft.ctx_tgt = target; // looked at while this is made, not afterwards
    wanted.draft.ctx_dft = draft->context;
    wanted.draft.n_max   = most_guesses;
    draft->guesser.reset(common_speculative_init(wanted, 1));
    return draft;
}

llama_context * context_of(const draft_model & draft) {
    return draft.context;
}

} // namespace hutch

struct hutch_drafter {
    hutch_model * model;
    bool          by_model;
    llama_tokens  came; // of the request, in order
    // For n-grams: the part of `came` that they know, and they; the other is empty.
    llama_tokens       known;
    common_ngram_cache ngrams;
    common_ngram_cache none;
};

namespace {

// Forgets what the draft model's sequence holds beyond what came. Returns how many tokens stay. A sliding
// window has lost what far older tokens would look back at: then nothing stays.
size_t keep_common(hutch::draft_model & draft, const llama_tokens & came) {
    const size_t most = std::min(draft.held.size(), came.size() - 1);
    const auto   end  = std::mismatch(draft.held.begin(), draft.held.begin() + static_cast<std::ptrdiff_t>(most), came.begin()).first;
    const auto   same = static_cast<size_t>(end - draft.held.begin());
    if (same == draft.held.size()) {
        return same;
    }
    const llama_memory_t memory = llama_get_memory(draft.context);
    const bool whole = draft.held.size() - same <= hutch::most_guesses || llama_memory_seq_pos_min(memory, 0) == 0;
    if (whole && llama_memory_seq_rm(memory, 0, static_cast<llama_pos>(same), -1)) {
        draft.held.resize(same);
    } else {
        llama_memory_clear(memory, false);
        draft.held.clear();
    }
    return draft.held.size();
}

// What the sequence holds after a call that may have failed half-way: as many tokens as there are cells.
void note_held(hutch::draft_model & draft, const llama_tokens & written) {
    const auto cells = static_cast<size_t>(llama_memory_seq_pos_max(llama_get_memory(draft.context), 0) + 1);
    for (size_t i = 0; draft.held.size() < cells && i < written.size(); i++) {
        draft.held.push_back(written[i]);
    }
}

int32_t read_by_model(hutch::draft_model & draft, const llama_tokens & came, size_t most) {
    if (came.size() > llama_n_ctx_seq(draft.context)) {
        return hutch::fail(HUTCH_STATUS_INVALID, "the text is longer than the draft model's context");
    }
    size_t at = keep_common(draft, came);
    while (at + 1 < came.size() && most > 0) {
        const size_t count = std::min({ came.size() - 1 - at, most, static_cast<size_t>(llama_n_batch(draft.context)) });
        common_batch_clear(draft.batch);
        for (size_t i = 0; i < count; i++) {
            common_batch_add(draft.batch, came[at + i], static_cast<llama_pos>(at + i), { 0 }, false);
        }
        if (!common_speculative_process(draft.guesser.get(), draft.batch)) {
            llama_memory_clear(llama_get_memory(draft.context), false);
            draft.held.clear();
            return hutch::fail(HUTCH_STATUS_ERROR, "the draft model failed");
        }
        draft.held.insert(draft.held.end(), came.begin() + static_cast<std::ptrdiff_t>(at), came.begin() + static_cast<std::ptrdiff_t>(at + count));
        at += count;
        most -= count;
    }
    return static_cast<int32_t>(came.size() - 1 - at);
}

int32_t read_ngrams(hutch_drafter & drafter, size_t most) {
    const size_t at    = drafter.known.size();
    const size_t count = std::min(drafter.came.size() - at, most);
    const auto   from  = drafter.came.begin() + static_cast<std::ptrdiff_t>(at);
    drafter.known.insert(drafter.known.end(), from, from + static_cast<std::ptrdiff_t>(count));
    common_ngram_cache_update(drafter.ngrams, LLAMA_NGRAM_MIN, LLAMA_NGRAM_MAX, drafter.known, static_cast<int>(count), false);
    return static_cast<int32_t>(drafter.came.size() - drafter.known.size());
}

llama_tokens guess_by_model(hutch::draft_model & draft, const llama_tokens & came, int32_t most) {
    const auto room = static_cast<int32_t>(llama_n_ctx_seq(draft.context)) - static_cast<int32_t>(came.size());
    llama_tokens guesses;
    if (std::min(most, room) < 1) {
        return guesses;
    }
    common_speculative_draft_params & params = common_speculative_get_draft_params(draft.guesser.get(), 0);
    params.drafting = true;
    params.n_max    = std::min(most, room);
    params.pos0     = static_cast<llama_pos>(draft.held.size());
    params.id_last  = came.back();
    params.prompt   = &came;
    params.result   = &guesses;
    common_speculative_draft(draft.guesser.get());
    llama_tokens written = { came.back() };
    written.insert(written.end(), guesses.begin(), guesses.end());
    note_held(draft, written);
    return guesses;
}

llama_tokens guess_by_ngrams(hutch_drafter & drafter, int32_t most) {
    // llama-common looks back at so many tokens without asking whether there are any.
    if (drafter.known.size() < LLAMA_NGRAM_MAX) {
        return {};
    }
    llama_tokens guesses = { drafter.known.back() };
    common_ngram_cache_draft(drafter.known, guesses, most, LLAMA_NGRAM_MIN, LLAMA_NGRAM_MAX, drafter.ngrams, drafter.none, drafter.none);
    guesses.erase(guesses.begin());
    return guesses;
}

} // namespace

hutch_drafter * hutch_drafter_init(hutch_model * model, bool by_model) {
    return hutch::guarded([&] {
        if (by_model && model->draft == nullptr) {
            throw std::runtime_error("no draft model is loaded");
        }
        return new hutch_drafter{ model, by_model, {}, {}, {}, {} };
    }, static_cast<hutch_drafter *>(nullptr));
}

void hutch_drafter_free(hutch_drafter * drafter) {
    delete drafter;
}

int32_t hutch_drafter_add(hutch_drafter * drafter, const int32_t * tokens, int32_t count) {
    return hutch::guarded([&] {
        drafter->came.insert(drafter->came.end(), tokens, tokens + count);
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

int32_t hutch_drafter_read(hutch_drafter * drafter, int32_t most) {
    if (most < 0 || drafter->came.empty()) {
        return hutch::fail(HUTCH_STATUS_INVALID, "a drafter reads what it was told, and that is nothing");
    }
    return hutch::guarded([&] {
        const auto count = static_cast<size_t>(most);
        return drafter->by_model ? read_by_model(*drafter->model->draft, drafter->came, count) : read_ngrams(*drafter, count);
    });
}

int32_t hutch_drafter_guess(hutch_drafter * drafter, int32_t * tokens, int32_t most) {
    return hutch::guarded([&] {
        const int32_t limit = std::min(most, hutch::most_guesses);
        const bool    ready = drafter->by_model ? hutch_drafter_read(drafter, 0) == 0 : drafter->known.size() == drafter->came.size();
        if (limit < 1 || !ready) {
            return 0;
        }
        const llama_tokens guesses = drafter->by_model ? guess_by_model(*drafter->model->draft, drafter->came, limit) : guess_by_ngrams(*drafter, limit);
        const int32_t vocabulary = llama_vocab_n_tokens(drafter->model->vocab);
        int32_t count = 0;
        // What stands for images is no token, and a draft model may know a few tokens more.
        for (const llama_token token : guesses) {
            if (count == limit || token < 0 || token >= vocabulary) {
                break;
            }
            tokens[count++] = token;
        }
        return count;
    });
}

int32_t hutch_model_draft_problem(const hutch_model * model, char * buffer, int32_t size) {
    return hutch::copy_text(model->draft_problem, buffer, size);
}

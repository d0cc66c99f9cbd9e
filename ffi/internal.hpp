// What the files of the shim share: errors, and the structs behind the handles of hutch.h.
#pragma once

#include "chat.h"
#include "hutch.h"
#include "hutch_llguidance.h"
#include "llama.h"

#include <atomic>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace hutch {

// Keeps a text for hutch_last_error and hands the status on.
int32_t fail(int32_t status, const std::string & text);

// Runs a function so that no exception crosses the C boundary.
template <typename F, typename R> R guarded(F && body, R failed) {
    try {
        return body();
    } catch (const std::bad_alloc &) {
        fail(HUTCH_STATUS_NO_MEMORY, "out of memory");
    } catch (const std::exception & error) {
        fail(HUTCH_STATUS_ERROR, error.what());
    } catch (...) {
        fail(HUTCH_STATUS_ERROR, "unknown exception");
    }
    return failed;
}

template <typename F> int32_t guarded(F && body) {
    return guarded(std::forward<F>(body), static_cast<int32_t>(HUTCH_STATUS_ERROR));
}

// Reads how far a quantising job is out of a line of llama.cpp's log. Any thread.
void note_quantize_log(const char * text);

// Now, ns of the steady clock.
int64_t steady_ns();

// For libllama: whether the running step of a model (`data`) is to end early. Called between the nodes
// of a graph.
bool interrupted(void * data);

// Whether signals are listened to.
bool interrupts();

// Signals that came are heard now.
void forget_interrupts();

// From now on this process sees no GPU; before backends are loaded.
void hide_gpus();

// Whether a backend sees a GPU.
bool has_gpu();

// Whether a loaded model uses GPUs.
bool on_gpu(const llama_model * model);

// Whether a GPU that a model uses has no memory of its own, but the machine's.
bool gpu_shares_memory(const llama_model * model);

// Whether a GPU that a model uses has less memory left than its backend may want for a step.
bool gpus_are_full(const llama_model * model);

// What of a model goes to which GPU. To be kept until the model is loaded.
struct device_plan {
    llama_model_params                            params;
    ggml_backend_dev_t                            nobody[1] = { nullptr };
    std::vector<float>                            split;
    std::vector<llama_model_tensor_buft_override> overrides;
    // With no layers on GPUs none is used: true then.
    bool keeps_off();
    // Else, with a negative number as many layers as the free memory of the
    // GPUs holds with a context like this.
    void fit(const char * path, llama_context_params context);
};

// From now on a buffer of the CPU takes memory where it is written, not where it is cleared (memory.cpp).
void take_memory_late();

// Copies at most `size` bytes; returns how many.
int32_t copy_text(const std::string & text, char * buffer, int32_t size);

// Samples among the tokens that a sampler's constraint allows, and tells it which came. -2: failed, the
// text is in sampler.failure.
int32_t sample_constrained(hutch_sampler & sampler, const float * logits, int32_t vocabulary);

} // namespace hutch

struct mtmd_context;

namespace hutch {

// A loaded projector and the stop of what its thread computes (media.cpp).
struct projector {
    mtmd_context *    context = nullptr;
    std::atomic<bool> stop{ false };
    std::atomic<bool> busy{ false };
    int32_t           nodes  = 0; // of the graph that is being computed, by its thread alone
    size_t            memory = 0; // bytes
    size_t            memory_gpu = 0;
    ~projector();
};

// Loads a projector for a model. Throws when it does not fit.
std::unique_ptr<projector> load_projector(const std::string & path, const llama_model * model, int32_t threads, bool gpu);

// Whether some images must be decoded at once, in one batch.
bool decodes_at_once(const projector & projector);
bool reads_images(const projector & projector);
bool reads_sound(const projector & projector);

} // namespace hutch

namespace hutch {

// A loaded draft model (draft.cpp).
struct draft_model;
struct draft_model_deleter {
    void operator()(draft_model * draft) const;
};
using draft_model_ptr = std::unique_ptr<draft_model, draft_model_deleter>;

// Loads the draft model of `params`. Throws when it cannot draft for the model of the context `target`.
draft_model_ptr load_draft_model(const hutch_params & params, llama_context * target, ggml_threadpool * threads);
llama_context * context_of(const draft_model & draft);

// Threads that cut long texts into tokens (tokenize.cpp).
class token_threads;
struct token_threads_deleter {
    void operator()(token_threads * threads) const;
};

} // namespace hutch

struct hutch_params {
    llama_model_params   model   = llama_model_default_params();
    llama_context_params context = llama_context_default_params();
    int64_t              slots         = 1;
    int64_t              early_slots   = 0;
    int64_t              context_length = 4096;
    std::vector<std::pair<std::string, float>> adapters;
    std::string projector;
    std::string draft;
};

struct hutch_model {
    llama_model *        model   = nullptr;
    llama_context *      context = nullptr;
    const llama_vocab *  vocab   = nullptr;
    bool                 unified = false;
    bool                 pooled  = false;
    bool                 causal  = true;
    bool                 on_gpu  = false; // its steps cannot be interrupted
    bool                 whole   = false; // an embedding needs its text in one batch
    int64_t              slots   = 1; // sequences in use; the context may be made for more
    int64_t              early   = 0; // up to so many no second context is made
    std::unique_ptr<hutch::projector> projector;
    hutch::draft_model_ptr            draft;
    std::string                       draft_problem; // why there is none although one was asked for
    // Threads that live as long as the model: made anew for every step they would cost more than
    // sampling does.
    ggml_threadpool *                 threads = nullptr;
    std::vector<llama_adapter_lora *> adapters;
    std::vector<float>                adapter_scales;
    // What the context was made with, to make a larger one.
    llama_context_params              context_params = llama_context_default_params();
    common_chat_templates_ptr         templates;
    std::string                       rendered;
    hutch_llg_vocabulary *            words = nullptr; // made for the first constraint
    // Made for the first long text.
    std::unique_ptr<hutch::token_threads, hutch::token_threads_deleter> token_threads;
    // Scratch of hutch_decode, kept so that a step allocates nothing.
    std::vector<int32_t>        sequence_counts;
    std::vector<llama_seq_id *> sequence_rows;
    // When the running step began, ns of the steady clock, when it may be interrupted; else 0.
    int64_t                     interruptible_since = 0;
};

struct hutch_sampler {
    llama_sampler *     chain = nullptr;
    const llama_vocab * vocab = nullptr;
    bool                greedy = false; // takes the likeliest token, nothing else
    hutch_llg_matcher * matcher = nullptr; // what may come next; null = anything
    std::string         failure;           // why the last sampling gave -2
    // Scratch of constrained sampling.
    std::vector<uint32_t>         mask;
    std::vector<llama_token_data> candidates;
};

struct hutch_compilation {
    hutch_llg_job *        job;
    hutch_llg_vocabulary * words; // the model's
    hutch_llg_compiled *   result; // until it is taken
};

struct hutch_constraint {
    hutch_llg_compiled *   compiled;
    hutch_llg_vocabulary * words; // the model's
};

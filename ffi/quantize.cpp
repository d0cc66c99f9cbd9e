// Quantising a file with llama.cpp, in a thread of its own: the caller's thread stays free to report
// progress. llama.cpp tells how far it is only in its log, so that is read.
#include "internal.hpp"

#include "ggml.h"

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

enum class job_state : int { none, running, succeeded, failed };

std::atomic<job_state> state{ job_state::none };
std::atomic<int32_t>   tensors_done{ 0 };
std::atomic<int32_t>   tensors_total{ 0 };

// What the thread works with; filled before it starts, never touched by anybody else.
struct job {
    std::string                              input;
    std::string                              output;
    std::vector<std::string>                 patterns;
    std::vector<llama_model_tensor_override> overrides;
    llama_model_quantize_params              params = llama_model_quantize_default_params();
};

ggml_type type_by_name(const std::string & name) {
    for (int i = 0; i < GGML_TYPE_COUNT; i++) {
        const auto type = static_cast<ggml_type>(i);
        if (ggml_type_name(type) != nullptr && name == ggml_type_name(type)) {
            return type;
        }
    }
    return GGML_TYPE_COUNT;
}

// Splits "pattern=type;pattern=type"; false when a type does not exist.
bool read_overrides(const std::string & text, job & work) {
    std::vector<ggml_type> types;
    size_t                 at = 0;
    while (at < text.size()) {
        size_t end = text.find(';', at);
        if (end == std::string::npos) {
            end = text.size();
        }
        const std::string entry  = text.substr(at, end - at);
        const size_t      equals = entry.rfind('=');
        if (equals == std::string::npos) {
            return false;
        }
        const ggml_type type = type_by_name(entry.substr(equals + 1));
        if (type == GGML_TYPE_COUNT) {
            return false;
        }
        work.patterns.push_back(entry.substr(0, equals));
        types.push_back(type);
        at = end + 1;
    }
    for (size_t i = 0; i < types.size(); i++) {
        work.overrides.push_back({ work.patterns[i].c_str(), types[i] });
    }
    if (!work.overrides.empty()) {
        work.overrides.push_back({ nullptr, GGML_TYPE_COUNT });
        work.params.tt_overrides = work.overrides.data();
    }
    return true;
}

} // namespace

namespace hutch {

void note_quantize_log(const char * text) {
    int done  = 0;
    int total = 0;
    if (state.load() == job_state::running && std::sscanf(text, "[%d/%d]", &done, &total) == 2) {
        tensors_total = total;
        // The line comes when a tensor begins: those before it are done.
        tensors_done = done - 1;
    }
}

} // namespace hutch

int32_t hutch_quantize_start(const char * input, const char * output, int32_t file_type, const char * overrides, int32_t threads) {
    return hutch::guarded([&] {
        if (state.load() == job_state::running) {
            return hutch::fail(HUTCH_STATUS_ERROR, "a job is running already");
        }
        auto work    = std::make_unique<job>();
        work->input  = input;
        work->output = output;
        if (!read_overrides(overrides, *work)) {
            return hutch::fail(HUTCH_STATUS_INVALID, std::string("bad tensor types: ") + overrides);
        }
        work->params.ftype            = static_cast<llama_ftype>(file_type);
        work->params.nthread          = threads;
        work->params.allow_requantize = true;
        tensors_done                  = 0;
        tensors_total                 = 0;
        state                         = job_state::running;
        // Detached: when the process is told to end, nobody waits for half a file.
        std::thread([work = std::move(work)] {
            const uint32_t failed = llama_model_quantize(work->input.c_str(), work->output.c_str(), &work->params);
            state                 = failed == 0 ? job_state::succeeded : job_state::failed;
        }).detach();
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

int32_t hutch_quantize_progress(int32_t * done, int32_t * total) {
    *total = tensors_total.load();
    *done  = tensors_done.load();
    switch (state.load()) {
        case job_state::running:
            return 1;
        case job_state::succeeded:
            *done = *total;
            return HUTCH_STATUS_OK;
        case job_state::failed:
            return hutch::fail(HUTCH_STATUS_ERROR, "llama.cpp could not quantise the file");
        case job_state::none:
            break;
    }
    return hutch::fail(HUTCH_STATUS_ERROR, "no job was started");
}

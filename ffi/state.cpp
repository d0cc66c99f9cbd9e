// What sequences hold, as bytes; a context with more sequences in place of the present one; threads.
#include "internal.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

int64_t hutch_state_size(hutch_model * model, int32_t sequence) {
    return hutch::guarded([&] { return static_cast<int64_t>(llama_state_seq_get_size(model->context, sequence)); }, static_cast<int64_t>(HUTCH_STATUS_ERROR));
}

int64_t hutch_state_get(hutch_model * model, int32_t sequence, uint8_t * buffer, int64_t size) {
    return hutch::guarded([&] { return static_cast<int64_t>(llama_state_seq_get_data(model->context, buffer, static_cast<size_t>(size), sequence)); }, static_cast<int64_t>(HUTCH_STATUS_ERROR));
}

namespace {

constexpr size_t word   = sizeof(uint32_t);
constexpr size_t offset = 2 * word; // behind magic and sequence

// Streams of the context that the bytes come from.
uint32_t streams_in(const uint8_t * bytes, size_t size) {
    uint32_t value = 0;
    if (size >= offset + 2 * word) {
        std::memcpy(&value, bytes + offset, word);
    }
    return value;
}

// The bytes of one sequence name the number of streams (sequences) of their context and count the
// cells of each, although only one holds any; libllama refuses them in a context with another number.
// So they are written anew for `streams`, that one first. This knows the format of
// llama_kv_cache::state_write; for other memories the bytes stay as they are and may be refused.
// test/contract/engine/llama.test.ts notices when the format changes.
void fit_streams(std::vector<uint8_t> & bytes, uint32_t streams) {
    const auto number = [&](size_t at) {
        uint32_t value = 0;
        std::memcpy(&value, bytes.data() + at, word);
        return value;
    };
    const uint32_t present = streams_in(bytes.data(), bytes.size());
    if (present == streams || present == 0 || bytes.size() < offset + (1 + present) * word) {
        return;
    }
    uint32_t before = 0;
    while (before < present && number(offset + (1 + before) * word) == 0) {
        before++;
    }
    if (before == present) {
        return;
    }
    const size_t begin = offset + (1 + before) * word;
    const size_t end   = bytes.size() - (present - 1 - before) * word;
    if (end <= begin || std::any_of(bytes.begin() + static_cast<std::ptrdiff_t>(end), bytes.end(), [](uint8_t byte) { return byte != 0; })) {
        return;
    }
    std::vector<uint8_t> fitted(bytes.begin(), bytes.begin() + offset);
    fitted.resize(offset + word);
    std::memcpy(fitted.data() + offset, &streams, word);
    fitted.insert(fitted.end(), bytes.begin() + static_cast<std::ptrdiff_t>(begin), bytes.begin() + static_cast<std::ptrdiff_t>(end));
    fitted.resize(fitted.size() + (streams - 1) * word, 0);
    bytes = std::move(fitted);
}

uint32_t streams_of(const llama_context_params & params) {
    return params.kv_unified ? 1 : params.n_seq_max;
}

} // namespace

int32_t hutch_state_set(hutch_model * model, int32_t sequence, const uint8_t * buffer, int64_t size) {
    return hutch::guarded([&] {
        const uint32_t       streams = streams_of(model->context_params);
        const uint8_t *      bytes   = buffer;
        auto                 length  = static_cast<size_t>(size);
        std::vector<uint8_t> fitted;
        // Most come from a context like this one: what may be half a gigabyte is copied only for others.
        if (streams_in(bytes, length) != streams) {
            fitted.assign(buffer, buffer + size);
            fit_streams(fitted, streams);
            bytes  = fitted.data();
            length = fitted.size();
        }
        if (llama_state_seq_set_data(model->context, bytes, length, sequence) == 0) {
            return hutch::fail(HUTCH_STATUS_ERROR, "the saved state does not fit this model");
        }
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

int32_t hutch_set_threads(hutch_model * model, int32_t count) {
    if (count < 1 || count > model->context_params.n_threads) {
        return hutch::fail(HUTCH_STATUS_INVALID, "a step has 1 to as many threads as the model was loaded with");
    }
    llama_set_n_threads(model->context, count, count);
    if (model->draft) {
        llama_set_n_threads(hutch::context_of(*model->draft), count, count);
    }
    return HUTCH_STATUS_OK;
}

namespace {

struct context_deleter {
    void operator()(llama_context * context) const { llama_free(context); }
};

using context_ptr = std::unique_ptr<llama_context, context_deleter>;

void copy_sequences(llama_context * from, llama_context * to, uint32_t count, uint32_t streams) {
    const llama_memory_t memory = llama_get_memory(from);
    std::vector<uint8_t> bytes;
    for (uint32_t sequence = 0; memory != nullptr && sequence < count; sequence++) {
        const auto id = static_cast<llama_seq_id>(sequence);
        if (llama_memory_seq_pos_max(memory, id) < 0) {
            continue;
        }
        bytes.resize(llama_state_seq_get_size(from, id));
        const size_t written = llama_state_seq_get_data(from, bytes.data(), bytes.size(), id);
        bytes.resize(written);
        fit_streams(bytes, streams);
        if (written == 0 || llama_state_seq_set_data(to, bytes.data(), bytes.size(), id) == 0) {
            throw std::runtime_error("copy a sequence to the larger context");
        }
    }
}

} // namespace

int32_t hutch_model_set_slots(hutch_model * model, int32_t slots) {
    if (slots < model->slots) {
        return hutch::fail(HUTCH_STATUS_INVALID, "a context keeps the sequences that it has");
    }
    if (static_cast<uint32_t>(slots) <= llama_n_seq_max(model->context)) {
        model->slots = slots;
        return HUTCH_STATUS_OK;
    }
    if (slots <= model->early) {
        return hutch::fail(HUTCH_STATUS_NO_MEMORY, "the system has refused the cells of so many sequences");
    }
    return hutch::guarded([&] {
        llama_context_params params = model->context_params;
        // All sequences have the same number of cells, which libllama has rounded up.
        params.n_ctx     = llama_n_ctx_seq(model->context) * static_cast<uint32_t>(slots);
        params.n_seq_max = static_cast<uint32_t>(slots);
        context_ptr next(llama_init_from_model(model->model, params));
        if (next == nullptr || (model->on_gpu && hutch::gpus_are_full(model->model))) {
            return hutch::fail(HUTCH_STATUS_NO_MEMORY, "unable to create the larger context");
        }
        if (!model->adapters.empty()) {
            std::vector<float> scales = model->adapter_scales;
            if (llama_set_adapters_lora(next.get(), model->adapters.data(), model->adapters.size(), scales.data()) != 0) {
                throw std::runtime_error("apply the adapters");
            }
        }
        copy_sequences(model->context, next.get(), static_cast<uint32_t>(model->slots), streams_of(params));
        if (model->threads != nullptr) {
            llama_detach_threadpool(model->context);
            llama_attach_threadpool(next.get(), model->threads, nullptr);
        }
        llama_free(model->context);
        model->context        = next.release();
        model->context_params = params;
        model->slots          = slots;
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

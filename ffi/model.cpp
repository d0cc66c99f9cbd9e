// Loading a model, its facts, its tokenizer. Over 400 lines because its memory is counted where it is loaded.
#include "internal.hpp"

#include "../src/llama-ext.h" // llama_get_memory_breakdown; staging header, see docs/building.md
#include "ggml-backend.h"
#include "ggml-cpu.h"

#include <climits>
#include <cstring>
#include <map>
#include <memory>

hutch_params * hutch_params_init(void) {
    return hutch::guarded([] { return new hutch_params(); }, static_cast<hutch_params *>(nullptr));
}

void hutch_params_free(hutch_params * params) {
    delete params;
}

int32_t hutch_params_set(hutch_params * params, const char * key, int64_t value) {
    const std::string name = key;
    const auto        number = static_cast<int32_t>(value);
    if (value < INT32_MIN || value > INT32_MAX) {
        return hutch::fail(HUTCH_STATUS_INVALID, name + " is out of range");
    }
    if (name == "context") {
        params->context_length = value;
    } else if (name == "slots") {
        params->slots = value;
    } else if (name == "early_slots") {
        params->early_slots = value;
    } else if (name == "batch") {
        params->context.n_batch  = static_cast<uint32_t>(number);
        params->context.n_ubatch = static_cast<uint32_t>(number);
    } else if (name == "threads") {
        params->context.n_threads       = number;
        params->context.n_threads_batch = number;
    } else if (name == "gpu_layers") {
        params->model.n_gpu_layers = number;
    } else if (name == "main_gpu") {
        params->model.main_gpu   = number;
        params->model.split_mode = LLAMA_SPLIT_MODE_NONE;
    } else if (name == "mmap") {
        params->model.load_mode = number < 0 ? LLAMA_LOAD_MODE_AUTO : number == 0 ? LLAMA_LOAD_MODE_NONE : LLAMA_LOAD_MODE_MMAP;
    } else if (name == "unified") {
        params->context.kv_unified = number != 0;
    } else if (name == "flash_attention") {
        params->context.flash_attn_type = number < 0 ? LLAMA_FLASH_ATTN_TYPE_AUTO : number == 0 ? LLAMA_FLASH_ATTN_TYPE_DISABLED : LLAMA_FLASH_ATTN_TYPE_ENABLED;
    } else if (name == "embeddings") {
        params->context.embeddings = number != 0;
    } else if (name == "vocabulary_only") {
        params->model.vocab_only = number != 0;
    } else {
        return hutch::fail(HUTCH_STATUS_INVALID, "unknown parameter " + name);
    }
    return HUTCH_STATUS_OK;
}

int32_t hutch_params_set_cache_type(hutch_params * params, const char * name) {
    static const ggml_type types[] = { GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0, GGML_TYPE_Q4_1, GGML_TYPE_IQ4_NL, GGML_TYPE_Q5_0, GGML_TYPE_Q5_1 };
    for (const ggml_type type : types) {
        if (std::strcmp(ggml_type_name(type), name) == 0) {
            params->context.type_k = type;
            params->context.type_v = type;
            return HUTCH_STATUS_OK;
        }
    }
    return hutch::fail(HUTCH_STATUS_INVALID, std::string("unknown KV cache type \"") + name + "\"");
}

int32_t hutch_params_add_adapter(hutch_params * params, const char * path, float scale) {
    return hutch::guarded([&] {
        params->adapters.emplace_back(path, scale);
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

int32_t hutch_params_set_projector(hutch_params * params, const char * path) {
    return hutch::guarded([&] {
        params->projector = path;
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

int32_t hutch_params_set_draft(hutch_params * params, const char * path) {
    return hutch::guarded([&] {
        params->draft = path;
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

namespace {

struct model_deleter {
    void operator()(hutch_model * model) const { hutch_model_free(model); }
};

using model_ptr = std::unique_ptr<hutch_model, model_deleter>;

void load_adapters(hutch_model & loaded, const hutch_params & params) {
    std::vector<float> & scales = loaded.adapter_scales;
    for (const auto & [path, scale] : params.adapters) {
        llama_adapter_lora * adapter = llama_adapter_lora_init(loaded.model, path.c_str());
        if (adapter == nullptr) {
            throw std::runtime_error("load the adapter " + path);
        }
        loaded.adapters.push_back(adapter); // freed with the model
        scales.push_back(scale);
    }
    if (!scales.empty() && llama_set_adapters_lora(loaded.context, loaded.adapters.data(), loaded.adapters.size(), scales.data()) != 0) {
        throw std::runtime_error("apply the adapters");
    }
}

// A function of the CPU backend, which is a library of its own: found by name. Null without one.
template <typename F> F * cpu_function(const char * name) {
    const ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    const ggml_backend_reg_t reg    = device == nullptr ? nullptr : ggml_backend_dev_backend_reg(device);
    return reg == nullptr ? nullptr : reinterpret_cast<F *>(ggml_backend_reg_get_proc_address(reg, name));
}

void attach_threads(hutch_model & loaded, int32_t count) {
    auto * make = cpu_function<decltype(ggml_threadpool_new)>("ggml_threadpool_new");
    if (count < 2 || make == nullptr) {
        return;
    }
    ggml_threadpool_params params = ggml_threadpool_params_default(count);
    loaded.threads = make(&params);
    if (loaded.threads != nullptr) {
        llama_attach_threadpool(loaded.context, loaded.threads, nullptr);
    }
}

// A draft model only saves time: a model whose draft model cannot be used is loaded without.
void attach_draft_model(hutch_model & loaded, const hutch_params & params) {
    if (params.draft.empty()) {
        return;
    }
    try {
        loaded.draft = hutch::load_draft_model(params, loaded.context, loaded.threads);
    } catch (const std::bad_alloc &) {
        throw;
    } catch (const std::exception & error) {
        loaded.draft_problem = error.what();
    }
}

// A value of the file's metadata under its architecture's name, "" when it has none.
std::string fact_of(const llama_model * model, const char * key) {
    char text[128];
    if (llama_model_meta_val_str(model, "general.architecture", text, sizeof text) < 0) {
        return "";
    }
    const std::string name = std::string(text) + "." + key;
    return llama_model_meta_val_str(model, name.c_str(), text, sizeof text) < 0 ? "" : text;
}

// Sequences of a model that is there for embeddings: so many texts may share a step.
constexpr uint32_t embedding_sequences = 64;
// Non-causal images have up to so many rows, which must share a step.
constexpr uint32_t image_rows = 2048;

// How many tokens a step may have and how many sequences: what embeddings and images need.
void fit_context(hutch_model & loaded, const hutch_params & params, int64_t sequences, llama_context_params & context) {
    const std::string pooling = fact_of(loaded.model, "pooling_type");
    const bool pools    = !pooling.empty() && pooling != "0";
    const bool one_way  = fact_of(loaded.model, "attention.causal") != "false" && !llama_model_has_encoder(loaded.model);
    const auto length   = static_cast<uint32_t>(params.context_length);
    context.n_ctx       = static_cast<uint32_t>(params.context_length * sequences);
    context.n_seq_max   = static_cast<uint32_t>(sequences);
    // A text that is not read from left to right, or is averaged, is evaluated in one piece.
    loaded.whole = !one_way || (pools && pooling != std::to_string(LLAMA_POOLING_TYPE_LAST));
    if (loaded.whole) {
        context.n_batch = std::max(context.n_batch, length);
    }
    if (pools || !one_way) {
        context.embeddings = true;
        context.kv_unified = true; // one pool of cells, so that sequences cost nothing
        context.n_seq_max  = std::min(embedding_sequences, std::max(context.n_batch, 1u));
        context.n_ctx      = std::max(length, context.n_batch);
    }
    if (loaded.projector && hutch::decodes_at_once(*loaded.projector)) {
        context.n_batch = std::max(context.n_batch, std::min(image_rows, length));
    }
    // libllama aborts when a step has fewer rows than there are sequences.
    context.n_batch  = std::max(context.n_batch, context.n_seq_max);
    context.n_ubatch = context.n_batch;
}

model_ptr load(const char * path, const hutch_params & params) {
    model_ptr loaded(new hutch_model());
    hutch::device_plan plan;
    plan.params = params.model;
    llama_context_params expected = params.context;
    expected.n_ctx     = static_cast<uint32_t>(params.context_length * params.slots);
    expected.n_seq_max = static_cast<uint32_t>(params.slots);
    plan.fit(path, expected);
    loaded->model = llama_model_load_from_file(path, plan.params);
    if (loaded->model == nullptr) {
        throw std::runtime_error("unable to load model");
    }
    loaded->vocab = llama_model_get_vocab(loaded->model);
    if (params.model.vocab_only) {
        return loaded;
    }

    llama_context_params context = params.context;
    context.no_perf = true;
    context.abort_callback      = hutch::interrupted;
    context.abort_callback_data = loaded.get();
    if (!params.projector.empty()) {
        loaded->projector = hutch::load_projector(params.projector, loaded->model, context.n_threads, params.model.n_gpu_layers != 0);
    }
    loaded->early = params.early_slots;
    // Some systems are set to refuse memory that nobody has yet: then the context is made for fewer.
    for (int64_t sequences = std::max(params.slots, loaded->early); loaded->context == nullptr; sequences = std::max(params.slots, sequences / 2)) {
        fit_context(*loaded, params, sequences, context);
        loaded->context = llama_init_from_model(loaded->model, context);
        if (sequences == params.slots) {
            break;
        }
    }
    loaded->context_params = context;
    if (loaded->context == nullptr) {
        throw std::runtime_error("unable to create the context");
    }
    loaded->on_gpu  = hutch::on_gpu(loaded->model);
    loaded->slots   = params.slots;
    loaded->unified = context.kv_unified;
    loaded->pooled  = llama_pooling_type(loaded->context) != LLAMA_POOLING_TYPE_NONE;
    loaded->causal  = llama_get_memory(loaded->context) != nullptr;
    attach_threads(*loaded, context.n_threads);
    load_adapters(*loaded, params);
    attach_draft_model(*loaded, params);
    return loaded;
}

} // namespace

hutch_model * hutch_model_load(const char * path, const hutch_params * params) {
    return hutch::guarded([&] { return load(path, *params).release(); }, static_cast<hutch_model *>(nullptr));
}

void hutch_model_free(hutch_model * model) {
    if (model == nullptr) {
        return;
    }
    model->token_threads.reset(); // waits for what they are at: they read the vocabulary
    model->templates.reset();
    model->projector.reset();
    model->draft.reset();
    hutch_llg_vocabulary_free(model->words);
    if (model->context != nullptr) {
        llama_free(model->context);
    }
    if (model->threads != nullptr) {
        if (auto * free_threads = cpu_function<decltype(ggml_threadpool_free)>("ggml_threadpool_free")) {
            free_threads(model->threads);
        }
    }
    if (model->model != nullptr) {
        llama_model_free(model->model); // frees its adapters too
    }
    delete model;
}

namespace {

bool is_on_gpu(ggml_backend_buffer_type_t type) {
    const ggml_backend_dev_t device = ggml_backend_buft_get_device(type);
    return device != nullptr && ggml_backend_dev_type(device) != GGML_BACKEND_DEVICE_TYPE_CPU && !ggml_backend_buft_is_host(type);
}

// Whether buffers of a type are a part of the file itself.
bool is_mapped(ggml_backend_buffer_type_t type) {
    const std::string name = ggml_backend_buft_name(type);
    const std::string end  = "_Mapped";
    return name.size() > end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}

// Bytes of the weights in the machine's memory. Backends pack some anew: in the file, which stays mapped as a
// whole, nobody reads those again.
int64_t host_weights(const llama_context * context, const llama_memory_breakdown & all) {
    int64_t mapped = 0;
    int64_t packed = 0;
    for (const auto & [type, data] : all) {
        if (!is_on_gpu(type)) {
            (is_mapped(type) ? mapped : packed) += static_cast<int64_t>(data.model);
        }
    }
    const auto size = static_cast<int64_t>(llama_model_size(llama_get_model(context)));
    return packed + std::min(mapped, std::max<int64_t>(0, size - packed));
}

// Bytes that a context and its model hold; of its cells only those of the first `sequences` count, because
// the others are not written.
int64_t context_bytes(const llama_context * context, bool gpu_only, int64_t sequences) {
    const int64_t all   = llama_n_seq_max(context);
    const auto    parts = llama_get_memory_breakdown(context);
    int64_t       bytes = gpu_only ? 0 : host_weights(context, parts);
    for (const auto & [type, data] : parts) {
        const bool gpu = is_on_gpu(type);
        if (gpu || !gpu_only) {
            const auto cells = static_cast<int64_t>(data.context);
            bytes += static_cast<int64_t>((gpu ? data.model : 0) + data.compute) + (sequences < all ? cells / all * sequences : cells);
        }
    }
    return bytes;
}

int64_t memory_bytes(const hutch_model & model, bool gpu_only) {
    int64_t bytes = context_bytes(model.context, gpu_only, hutch_model_fact(&model, HUTCH_FACT_SEQUENCES));
    if (model.draft) {
        bytes += context_bytes(hutch::context_of(*model.draft), gpu_only, 1);
    }
    if (model.projector) {
        bytes += static_cast<int64_t>(gpu_only ? model.projector->memory_gpu : model.projector->memory);
    }
    return bytes;
}

// Length of what hutch_embedding copies.
int32_t embedding_length(const hutch_model & model) {
    return llama_pooling_type(model.context) == LLAMA_POOLING_TYPE_RANK ? static_cast<int32_t>(llama_model_n_cls_out(model.model)) : llama_model_n_embd_out(model.model);
}

} // namespace

int64_t hutch_model_fact(const hutch_model * model, int32_t fact) {
    if (model->context == nullptr) {
        return fact == HUTCH_FACT_VOCABULARY ? llama_vocab_n_tokens(model->vocab) : HUTCH_STATUS_INVALID;
    }
    const llama_memory_t memory = llama_get_memory(model->context);
    switch (fact) {
        case HUTCH_FACT_TRAINED_CONTEXT: return llama_model_n_ctx_train(model->model);
        case HUTCH_FACT_CONTEXT: return llama_n_ctx_seq(model->context);
        case HUTCH_FACT_SLOTS: return model->slots;
        case HUTCH_FACT_BATCH: return llama_n_batch(model->context);
        case HUTCH_FACT_VOCABULARY: return llama_vocab_n_tokens(model->vocab);
        case HUTCH_FACT_EMBEDDING: return embedding_length(*model);
        case HUTCH_FACT_ADDS_BOS: return llama_vocab_get_add_bos(model->vocab) ? 1 : 0;
        case HUTCH_FACT_CAN_SHIFT: return memory != nullptr && llama_memory_can_shift(memory) ? 1 : 0;
        case HUTCH_FACT_CAN_TRIM: return memory != nullptr && !llama_model_is_recurrent(model->model) && !llama_model_is_hybrid(model->model) ? 1 : 0;
        case HUTCH_FACT_POOLED: return model->pooled ? 1 : 0;
        case HUTCH_FACT_GENERATES: return memory != nullptr && !model->pooled && llama_model_has_decoder(model->model) && !llama_model_has_encoder(model->model) ? 1 : 0;
        case HUTCH_FACT_MEMORY_TOTAL: return memory_bytes(*model, false);
        case HUTCH_FACT_MEMORY_GPU: return memory_bytes(*model, true);
        case HUTCH_FACT_UNIFIED: return model->unified ? 1 : 0;
        case HUTCH_FACT_BOS: return llama_vocab_bos(model->vocab);
        case HUTCH_FACT_CAUSAL: return model->causal ? 1 : 0;
        case HUTCH_FACT_SEQUENCES: return model->unified ? llama_n_seq_max(model->context) : model->slots;
        case HUTCH_FACT_WHOLE: return model->whole ? 1 : 0;
        case HUTCH_FACT_IMAGES: return model->projector && hutch::reads_images(*model->projector) ? 1 : 0;
        case HUTCH_FACT_SOUND: return model->projector && hutch::reads_sound(*model->projector) ? 1 : 0;
        case HUTCH_FACT_THREADS: return model->context_params.n_threads;
        case HUTCH_FACT_DRAFTS: return model->draft ? 1 : 0;
        case HUTCH_FACT_INTERRUPTIBLE: return hutch::interrupts() && !model->on_gpu && (memory == nullptr || hutch_model_fact(model, HUTCH_FACT_CAN_TRIM) == 1) ? 1 : 0;
        case HUTCH_FACT_MADE_FOR: return llama_n_seq_max(model->context);
        case HUTCH_FACT_GPU_SHARES: return hutch::gpu_shares_memory(model->model) ? 1 : 0;
        default: return HUTCH_STATUS_INVALID;
    }
}

int32_t hutch_model_template(const hutch_model * model, char * buffer, int32_t size) {
    const char * text = llama_model_chat_template(model->model, nullptr);
    if (text == nullptr) {
        return -1;
    }
    return hutch::guarded([&] {
        const std::string whole = text;
        hutch::copy_text(whole, buffer, size);
        return static_cast<int32_t>(whole.size());
    });
}

int32_t hutch_tokenize(const hutch_model * model, const char * text, int32_t length, bool add_special, bool parse_special, int32_t * tokens, int32_t capacity) {
    return hutch::guarded([&] { return llama_tokenize(model->vocab, text, length, tokens, capacity, add_special, parse_special); }, INT32_MIN);
}

int32_t hutch_detokenize(const hutch_model * model, const int32_t * tokens, int32_t count, char * buffer, int32_t size) {
    const int32_t vocabulary = llama_vocab_n_tokens(model->vocab);
    for (int32_t i = 0; i < count; i++) {
        if (tokens[i] < 0 || tokens[i] >= vocabulary) {
            hutch::fail(HUTCH_STATUS_INVALID, "token " + std::to_string(tokens[i]) + " is not in the vocabulary");
            return INT32_MIN;
        }
    }
    // Piece by piece: llama_detokenize drops the blank in front of the first word, and the text would
    // not become the same tokens again.
    return hutch::guarded([&] {
        int32_t total = 0;
        for (int32_t i = 0; i < count; i++) {
            const bool fits = total <= size;
            const int32_t length = llama_token_to_piece(model->vocab, tokens[i], fits ? buffer + total : nullptr, fits ? size - total : 0, 0, true);
            total += length < 0 ? -length : length;
        }
        return total <= size ? total : -total;
    }, INT32_MIN);
}

int32_t hutch_token_piece(const hutch_model * model, int32_t token, bool special, char * buffer, int32_t size) {
    return hutch::guarded([&] { return llama_token_to_piece(model->vocab, token, buffer, size, 0, special); }, INT32_MIN);
}

int32_t hutch_token_attributes(const hutch_model * model, int32_t * attributes, int32_t count) {
    if (count < 0 || count > llama_vocab_n_tokens(model->vocab)) {
        return hutch::fail(HUTCH_STATUS_INVALID, "the vocabulary has no " + std::to_string(count) + " tokens");
    }
    for (llama_token token = 0; token < count; token++) {
        attributes[token] = static_cast<int32_t>(llama_vocab_get_attr(model->vocab, token));
    }
    return HUTCH_STATUS_OK;
}

// Images and sound through mtmd: a projector beside the model turns them into rows of embeddings,
// which the model then reads like tokens. Reading and projecting run in a thread, so that the
// runner's loop goes on with other requests and sees cancels meanwhile.
#include "internal.hpp"

#include "mtmd-helper.h"
#include "mtmd.h"

#include <thread>

// One image or sound. `worker` owns all fields while `done` is false; afterwards the caller's thread
// does.
struct hutch_media {
    hutch_model *            model = nullptr;
    std::vector<uint8_t>     bytes;
    mtmd::input_chunks_ptr   chunks;
    std::vector<float>       rows; // of chunk `encoded`
    int32_t                  encoded = -1;
    int32_t                  status  = HUTCH_STATUS_OK;
    std::string              error;
    std::thread              worker;
    std::atomic<bool>        done{ true };
    bool                     encoding = false; // the thread runs, or ran last, the projector
};

namespace {

// How many nodes of a graph are computed between two looks at the stop: each look costs a barrier.
constexpr int32_t nodes_between_looks = 16;

// ggml asks first whether it should tell about a node, then tells; `false` then ends the graph.
bool keep_computing(ggml_tensor *, bool asking, void * user_data) {
    auto * projector = static_cast<hutch::projector *>(user_data);
    return asking ? ++projector->nodes % nodes_between_looks == 0 || projector->stop : !projector->stop;
}

const mtmd_input_chunk * chunk_at(const hutch_media & media, int32_t index) {
    const bool there = media.done && media.chunks && index >= 0 && static_cast<size_t>(index) < mtmd_input_chunks_size(media.chunks.get());
    return there ? mtmd_input_chunks_get(media.chunks.get(), static_cast<size_t>(index)) : nullptr;
}

bool is_text(const mtmd_input_chunk * chunk) {
    return mtmd_input_chunk_get_type(chunk) == MTMD_INPUT_CHUNK_TYPE_TEXT;
}

// Runs a job in the media's thread; what it throws becomes the media's failure.
template <typename F> void in_thread(hutch_media & media, int32_t failure, F && job) {
    if (media.worker.joinable()) {
        media.worker.join();
    }
    media.done = false;
    try {
        media.worker = std::thread([&media, failure, job] {
            try {
                job();
            } catch (const std::exception & error) {
                media.status = failure;
                media.error  = error.what();
            } catch (...) {
                media.status = failure;
                media.error  = "unknown exception";
            }
            media.done = true;
        });
    } catch (...) {
        media.done = true;
        throw;
    }
}

void read_chunks(hutch_media & media) {
    mtmd_context * context = media.model->projector->context;
    const mtmd::bitmap_ptr bitmap(mtmd_helper_bitmap_init_from_buf(context, media.bytes.data(), media.bytes.size(), false, mtmd_helper_init_opt_default()).bitmap);
    media.bytes = {};
    if (!bitmap) {
        throw std::runtime_error("it is damaged, or has a format that this model does not read");
    }
    const mtmd_input_part   part    = { nullptr, bitmap.get() };
    const mtmd_input_part * parts[] = { &part };
    media.chunks.reset(mtmd_input_chunks_init());
    if (mtmd_tokenize_from_parts(context, media.chunks.get(), parts, 1, false) != 0) {
        throw std::runtime_error("the projector cannot take it");
    }
}

// Lets the next one have the projector, however this one ends.
struct busy_guard {
    hutch::projector & projector;
    ~busy_guard() { projector.busy = false; }
};

void project(hutch_media & media, int32_t index) {
    hutch::projector & projector = *media.model->projector;
    const busy_guard guard{ projector };
    const mtmd_input_chunk * chunk = mtmd_input_chunks_get(media.chunks.get(), static_cast<size_t>(index));
    const int32_t status = mtmd_encode_chunk(projector.context, chunk);
    if (projector.stop) {
        throw std::runtime_error("stopped");
    }
    if (status != 0) {
        throw std::runtime_error("the projector failed");
    }
    const size_t floats = mtmd_input_chunk_get_n_tokens(chunk) * static_cast<size_t>(llama_model_n_embd_inp(media.model->model));
    const float * found = mtmd_get_output_embd(projector.context);
    media.rows.assign(found, found + floats);
    media.encoded = index;
}

// Positions of rows [from, from + count): one a row, or four with M-RoPE (time, row, column, spare),
// each kind in one piece.
std::vector<llama_pos> positions_of(const hutch_media & media, const mtmd_input_chunk * chunk, int32_t from, int32_t count, int32_t position) {
    const auto rows = static_cast<size_t>(count);
    const bool four = mtmd_decode_use_mrope(media.model->projector->context);
    std::vector<llama_pos> positions(four ? 4 * rows : rows);
    const mtmd_image_tokens * image = mtmd_input_chunk_get_tokens_image(chunk);
    for (size_t i = 0; i < rows; i++) {
        const int32_t row = from + static_cast<int32_t>(i);
        if (!four) {
            positions[i] = position + row;
        } else if (image == nullptr) {
            for (size_t kind = 0; kind < 4; kind++) {
                positions[kind * rows + i] = position + row;
            }
        } else {
            const mtmd_decoder_pos at = mtmd_image_tokens_get_decoder_pos(image, position, static_cast<size_t>(row));
            positions[i]            = static_cast<llama_pos>(at.t);
            positions[rows + i]     = static_cast<llama_pos>(at.y);
            positions[2 * rows + i] = static_cast<llama_pos>(at.x);
            positions[3 * rows + i] = static_cast<llama_pos>(at.z);
        }
    }
    return positions;
}

} // namespace

namespace hutch {

projector::~projector() {
    mtmd_free(context);
}

std::unique_ptr<projector> load_projector(const std::string & path, const llama_model * model, int32_t threads, bool gpu) {
    auto loaded = std::make_unique<projector>();
    mtmd_context_params params = mtmd_context_params_default();
    params.use_gpu           = gpu;
    params.print_timings     = false;
    params.n_threads         = threads;
    params.cb_eval           = keep_computing;
    params.cb_eval_user_data = loaded.get();
    loaded->context = mtmd_init_from_file(path.c_str(), model, params);
    if (loaded->context == nullptr) {
        throw std::runtime_error("unable to load the projector " + path);
    }
    for (const auto & [device, bytes] : mtmd_get_memory_usage(path.c_str(), params)) {
        loaded->memory += bytes;
        if (device != nullptr && ggml_backend_dev_type(device) != GGML_BACKEND_DEVICE_TYPE_CPU) {
            loaded->memory_gpu += bytes;
        }
    }
    return loaded;
}

bool decodes_at_once(const projector & projector) {
    return mtmd_decode_use_non_causal(projector.context, nullptr);
}

bool reads_images(const projector & projector) {
    return mtmd_support_vision(projector.context);
}

bool reads_sound(const projector & projector) {
    return mtmd_support_audio(projector.context);
}

} // namespace hutch

hutch_media * hutch_media_init(hutch_model * model, const uint8_t * bytes, int64_t length) {
    return hutch::guarded([&]() -> hutch_media * {
        if (!model->projector) {
            hutch::fail(HUTCH_STATUS_INVALID, "the model has no projector for images or sound");
            return nullptr;
        }
        auto media = std::make_unique<hutch_media>();
        media->model = model;
        media->bytes.assign(bytes, bytes + length);
        in_thread(*media, HUTCH_STATUS_INVALID, [started = media.get()] { read_chunks(*started); });
        return media.release();
    }, static_cast<hutch_media *>(nullptr));
}

void hutch_media_free(hutch_media * media) {
    if (media == nullptr) {
        return;
    }
    if (media->worker.joinable()) {
        // Only the one that has the projector may stop it.
        std::atomic<bool> & stop = media->model->projector->stop;
        if (media->encoding && !media->done) {
            stop = true;
        }
        media->worker.join();
        if (media->encoding) {
            stop = false;
        }
    }
    delete media;
}

int32_t hutch_media_poll(hutch_media * media) {
    if (!media->done) {
        return 0;
    }
    return media->status == HUTCH_STATUS_OK ? 1 : hutch::fail(media->status, media->error);
}

int32_t hutch_media_chunks(const hutch_media * media) {
    return media->done && media->chunks ? static_cast<int32_t>(mtmd_input_chunks_size(media->chunks.get())) : 0;
}

int32_t hutch_media_chunk(const hutch_media * media, int32_t index, int32_t * facts) {
    const mtmd_input_chunk * chunk = chunk_at(*media, index);
    if (chunk == nullptr) {
        return hutch::fail(HUTCH_STATUS_INVALID, "there is no such chunk");
    }
    facts[0] = static_cast<int32_t>(mtmd_input_chunk_get_n_tokens(chunk));
    facts[1] = mtmd_input_chunk_get_n_pos(chunk);
    facts[2] = is_text(chunk) ? 1 : 0;
    facts[3] = !is_text(chunk) && mtmd_decode_use_non_causal(media->model->projector->context, chunk) ? 1 : 0;
    return HUTCH_STATUS_OK;
}

int32_t hutch_media_tokens(const hutch_media * media, int32_t index, int32_t * tokens) {
    const mtmd_input_chunk * chunk = chunk_at(*media, index);
    if (chunk == nullptr || !is_text(chunk)) {
        return hutch::fail(HUTCH_STATUS_INVALID, "there is no such chunk of text");
    }
    size_t count = 0;
    const llama_token * found = mtmd_input_chunk_get_tokens_text(chunk, &count);
    std::copy(found, found + count, tokens);
    return HUTCH_STATUS_OK;
}

int32_t hutch_media_encode(hutch_media * media, int32_t index) {
    return hutch::guarded([&] {
        const mtmd_input_chunk * chunk = chunk_at(*media, index);
        if (chunk == nullptr || is_text(chunk)) {
            return hutch::fail(HUTCH_STATUS_INVALID, "there is no such chunk to encode");
        }
        hutch::projector & projector = *media->model->projector;
        if (projector.busy.exchange(true)) {
            return hutch::fail(HUTCH_STATUS_INVALID, "the projector is busy");
        }
        media->encoding = true;
        try {
            in_thread(*media, HUTCH_STATUS_ERROR, [media, index] { project(*media, index); });
        } catch (...) {
            projector.busy = false;
            throw;
        }
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

int32_t hutch_media_decode(hutch_media * media, int32_t from, int32_t count, int32_t sequence, int32_t position, bool wanted) {
    return hutch::guarded([&] {
        const mtmd_input_chunk * chunk = chunk_at(*media, media->encoded);
        llama_context * context = media->model->context;
        const auto rows = chunk == nullptr ? 0 : static_cast<int32_t>(mtmd_input_chunk_get_n_tokens(chunk));
        if (from < 0 || count <= 0 || count > rows - from || static_cast<uint32_t>(count) > llama_n_ubatch(context)) {
            return hutch::fail(HUTCH_STATUS_INVALID, "an image needs " + std::to_string(count) + " rows in one batch, which holds " + std::to_string(llama_n_ubatch(context)));
        }
        const bool at_once = mtmd_decode_use_non_causal(media->model->projector->context, chunk);
        if (at_once && count != rows) {
            return hutch::fail(HUTCH_STATUS_INVALID, "the rows of this chunk must be decoded at once");
        }
        std::vector<llama_pos>      positions = positions_of(*media, chunk, from, count, position);
        std::vector<int32_t>        counts(static_cast<size_t>(count), 1);
        std::vector<llama_seq_id *> sequences(static_cast<size_t>(count), &sequence);
        std::vector<int8_t>         logits(static_cast<size_t>(count), 0);
        logits.back() = wanted ? 1 : 0;
        llama_batch batch = {};
        batch.n_tokens = count;
        batch.embd     = media->rows.data() + static_cast<ptrdiff_t>(from) * llama_model_n_embd_inp(media->model->model);
        batch.pos      = positions.data();
        batch.n_seq_id = counts.data();
        batch.seq_id   = sequences.data();
        batch.logits   = logits.data();
        if (at_once) {
            llama_set_causal_attn(context, false);
        }
        const int32_t status = llama_decode(context, batch);
        if (at_once) {
            llama_set_causal_attn(context, true);
        }
        if (status == 1) {
            return hutch::fail(HUTCH_STATUS_NO_CELLS, "the KV cache is full");
        }
        return status == 0 ? HUTCH_STATUS_OK : hutch::fail(HUTCH_STATUS_ERROR, "llama_decode failed with " + std::to_string(status));
    });
}

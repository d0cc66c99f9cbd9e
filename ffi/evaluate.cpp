// One step of the runner: decode a batch; and what the memory holds.
#include "internal.hpp"

#include <cmath>
#include <numeric>

namespace {

// Removes what an interrupted step had evaluated: libllama keeps the parts that were complete.
void forget_batch(llama_context * context, const llama_batch & batch) {
    const llama_memory_t memory = llama_get_memory(context);
    // Rows of a sequence follow each other: the first one of each is met first.
    llama_seq_id last = -1;
    for (int32_t i = 0; i < batch.n_tokens; i++) {
        const llama_seq_id sequence = batch.seq_id[i][0];
        if (sequence != last) {
            llama_memory_seq_rm(memory, sequence, batch.pos[i], -1);
            last = sequence;
        }
    }
}

} // namespace

int32_t hutch_decode(hutch_model * model, int32_t count, const int32_t * tokens, const int32_t * positions, const int32_t * sequences, const uint8_t * wanted, bool interruptible) {
    if (count <= 0 || static_cast<uint32_t>(count) > llama_n_batch(model->context)) {
        return hutch::fail(HUTCH_STATUS_INVALID, "a batch has 1 to n_batch tokens");
    }
    return hutch::guarded([&] {
        const auto rows = static_cast<size_t>(count);
        if (model->sequence_counts.size() < rows) {
            model->sequence_counts.resize(rows, 1);
            model->sequence_rows.resize(rows);
        }
        for (size_t i = 0; i < rows; i++) {
            model->sequence_rows[i] = const_cast<llama_seq_id *>(sequences + i);
        }
        llama_batch batch = {};
        batch.n_tokens = count;
        batch.token    = const_cast<llama_token *>(tokens);
        batch.pos      = const_cast<llama_pos *>(positions);
        batch.n_seq_id = model->sequence_counts.data();
        batch.seq_id   = model->sequence_rows.data();
        batch.logits   = const_cast<int8_t *>(reinterpret_cast<const int8_t *>(wanted));
        model->interruptible_since = interruptible ? hutch::steady_ns() : 0;
        const int32_t status = llama_decode(model->context, batch);
        // GPUs go on computing behind llama_decode's back: what follows measures how long a step takes.
        if (status == 0 && model->on_gpu) {
            llama_synchronize(model->context);
        }
        model->interruptible_since = 0;
        hutch::forget_interrupts();
        if (status == 2) {
            forget_batch(model->context, batch);
            return static_cast<int32_t>(HUTCH_STATUS_INTERRUPTED);
        }
        if (status == 0) {
            return static_cast<int32_t>(HUTCH_STATUS_OK);
        }
        if (status == 1) {
            return hutch::fail(HUTCH_STATUS_NO_CELLS, "the KV cache is full");
        }
        return hutch::fail(status == -1 ? HUTCH_STATUS_INVALID : HUTCH_STATUS_ERROR, "llama_decode failed with " + std::to_string(status));
    });
}

int32_t hutch_set_embeddings(hutch_model * model, bool embeddings) {
    llama_set_embeddings(model->context, embeddings);
    return HUTCH_STATUS_OK;
}

int32_t hutch_embedding(hutch_model * model, int32_t sequence, int32_t row, bool normalize, float * vector) {
    return hutch::guarded([&] {
        const float * found = model->pooled ? llama_get_embeddings_seq(model->context, sequence) : llama_get_embeddings_ith(model->context, row);
        if (found == nullptr) {
            return hutch::fail(HUTCH_STATUS_ERROR, "the model gave no embedding");
        }
        // A reranker gives scores, whose size means something.
        const bool scores = llama_pooling_type(model->context) == LLAMA_POOLING_TYPE_RANK;
        const auto length = static_cast<int32_t>(hutch_model_fact(model, HUTCH_FACT_EMBEDDING));
        const double  sum    = std::inner_product(found, found + length, found, 0.0);
        if (!std::isfinite(sum)) {
            return hutch::fail(HUTCH_STATUS_ERROR, "embedding contains NaN or Inf values");
        }
        const double scale = normalize && !scores && sum > 0 ? 1.0 / std::sqrt(sum) : 1.0;
        for (int32_t i = 0; i < length; i++) {
            vector[i] = static_cast<float>(found[i] * scale);
        }
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

int32_t hutch_memory_remove(hutch_model * model, int32_t sequence, int32_t from, int32_t to) {
    return hutch::guarded([&] {
        const llama_memory_t memory = llama_get_memory(model->context);
        return memory == nullptr || llama_memory_seq_rm(memory, sequence, from, to) ? 1 : 0;
    });
}

int32_t hutch_memory_copy(hutch_model * model, int32_t source, int32_t target) {
    return hutch::guarded([&] {
        llama_memory_seq_cp(llama_get_memory(model->context), source, target, -1, -1);
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

int32_t hutch_memory_shift(hutch_model * model, int32_t sequence, int32_t from, int32_t to, int32_t delta) {
    return hutch::guarded([&] {
        const llama_memory_t memory = llama_get_memory(model->context);
        if (!llama_memory_can_shift(memory)) {
            return hutch::fail(HUTCH_STATUS_INVALID, "the model's memory cannot be shifted");
        }
        llama_memory_seq_add(memory, sequence, from, to, delta);
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

int32_t hutch_memory_first(const hutch_model * model, int32_t sequence) {
    const llama_memory_t memory = llama_get_memory(model->context);
    return memory == nullptr ? -1 : llama_memory_seq_pos_min(memory, sequence);
}

// hutch's own attention, as part of ggml's CPU backends for x86, in place of ggml's flash attention
// (ggml_flash_attn_ext), which is compiled as it is under another name (cmake/hutch-kernels.cmake).
//
// A row is one query of one head. Rows that look at the same keys are computed together, a piece of the context after
// the other, so that its keys and values are read and widened to 32 bits once for several of them; sums have 32 bits.
// ggml, unless 64 tokens of one sequence come together, goes from cell to cell with one row at a time, and sums those
// of F16 in 16. What a row gives does not depend on the others, but where there are more threads than rows to share:
// the parts of the context that they sum in have other last bits.
#include "attention_sums.hpp"
#include "ops.h"
#include "wanted.hpp"

extern "C" void hutch_ggml_flash_attn_ext(const ggml_compute_params *, ggml_tensor *);

#ifdef HUTCH_KERNELS_AVX2

#include "ggml-cpu.h"
#include "vec.h"

#include <cmath>
#include <vector>

namespace hutch {
namespace {

constexpr int   SHORT = 256; // cells of a context that is left to ggml: little is gained, and the last bits stay ggml's
constexpr int   ROWS  = 48;  // most that go through a piece together
constexpr int   FEW   = 16;  // rows for which widening a piece beforehand does not pay
constexpr float NONE  = -INFINITY;

struct Attention {
    const ggml_tensor * q;
    const ggml_tensor * k;
    const ggml_tensor * v;
    const ggml_tensor * mask;
    const ggml_tensor * sinks;
    ggml_tensor *       to;
    int64_t             shared; // query heads of one head of keys
    float               scale, max_bias, softcap;
};

const char * at(const ggml_tensor * tensor, int64_t i1, int64_t i2, int64_t i3) {
    return static_cast<const char *>(tensor->data) + i1 * tensor->nb[1] + i2 * tensor->nb[2] + i3 * tensor->nb[3];
}

const ggml_fp16_t * mask_of(const Attention & of, int64_t query, int64_t head, int64_t sequence) {
    return reinterpret_cast<const ggml_fp16_t *>(at(of.mask, query, head % of.mask->ne[2], sequence % of.mask->ne[3]));
}

// Rows that one thread computes over some of the cells. Row r is of query r / shared and the head's r % shared'th query head.
struct Job {
    int64_t sequence, head; // of the keys
    int64_t first, last;    // rows
    int64_t from, until;    // cells
};

// What a thread writes while it works, in ggml's buffer.
struct Scratch {
    float * keys;    // CELLS of them
    float * values;
    float * weights; // a row of CELLS for each row
    float * sums;    // a row of values for each row
    float * most;    // the largest score of each row
    float * total;   // of its weights
};

void widen(const ggml_tensor * tensor, const char * from, int64_t cells, float * to) {
    const int64_t size = tensor->ne[0];
    for (int64_t i = 0; i < cells; i++, from += tensor->nb[1], to += size) {
        if (tensor->type == GGML_TYPE_F16) {
            const auto * halves = reinterpret_cast<const __m128i *>(from);
            for (int64_t d = 0; d < size; d += 8) {
                _mm256_storeu_ps(to + d, _mm256_cvtph_ps(_mm_loadu_si128(halves + d / 8)));
            }
        } else if (tensor->type == GGML_TYPE_F32) {
            std::memcpy(to, from, size * sizeof(float));
        } else {
            ggml_get_type_traits(tensor->type)->to_float(from, to, size);
        }
    }
}

bool all_hidden(const ggml_fp16_t * mask, int64_t cells) {
    return std::all_of(mask, mask + cells, [](ggml_fp16_t half) { return half == 0xFC00; });
}

// 8 halves, or as many as there are and zeros.
__m128i halves_at(const ggml_fp16_t * from, int64_t count) {
    ggml_fp16_t eight[8] = {};
    if (count < 8) {
        std::memcpy(eight, from, count * sizeof(ggml_fp16_t));
        from = eight;
    }
    return _mm_loadu_si128(reinterpret_cast<const __m128i *>(from));
}

float slope_of(const Attention & of, int64_t head) {
    if (of.max_bias <= 0) {
        return 1;
    }
    const int64_t below = int64_t(1) << static_cast<int>(std::floor(std::log2(of.q->ne[2])));
    return head < below ? std::pow(std::exp2(-of.max_bias / below), head + 1)
                        : std::pow(std::exp2(-of.max_bias / 2 / below), 2 * (head - below) + 1);
}

// Scores of a row as they go into its weights: scaled, capped, with what the mask adds. What is hidden may be no number.
void finish(const Attention & of, const ggml_fp16_t * mask, float slope, int64_t cells, float * scores) {
    if (of.softcap != 0) {
        for (int64_t i = 0; i < cells; i++) {
            scores[i] = of.softcap * std::tanh(scores[i] * of.scale / of.softcap);
        }
    }
    const __m256 scale = _mm256_set1_ps(of.softcap == 0 ? of.scale : 1), none = _mm256_set1_ps(NONE);
    for (int64_t i = 0; i < cells; i += 8) {
        __m256 score = _mm256_mul_ps(_mm256_loadu_ps(scores + i), scale);
        if (mask != nullptr) {
            const __m256 more = _mm256_cvtph_ps(halves_at(mask + i, cells - i));
            score             = _mm256_fmadd_ps(more, _mm256_set1_ps(slope), score);
            score             = _mm256_blendv_ps(score, none, _mm256_cmp_ps(more, none, _CMP_EQ_OQ));
        }
        _mm256_storeu_ps(scores + i, score);
    }
}

void scale_by(float factor, int64_t size, float * values) {
    for (int64_t d = 0; d < size; d += 8) {
        _mm256_storeu_ps(values + d, _mm256_mul_ps(_mm256_loadu_ps(values + d), _mm256_set1_ps(factor)));
    }
}

// Makes weights of a row's scores; what is summed already is scaled to the new largest score.
void weigh(int64_t cells, int64_t size, float * scores, float * sums, float & most, float & total) {
    float here = NONE;
    ggml_vec_max_f32(static_cast<int>(cells), &here, scores);
    if (here > most) {
        const float factor = std::exp(most - here);
        scale_by(factor, size, sums);
        total *= factor;
        most = here;
    }
    total += static_cast<float>(ggml_vec_soft_max_f32(static_cast<int>(cells), scores, scores, most));
}

void compute(const Attention & of, const Job & job, const Scratch & scratch) {
    const int64_t rows = job.last - job.first, key_size = of.k->ne[0], value_size = of.v->ne[0];
    const float * queries[ROWS];
    const ggml_fp16_t * masks[ROWS];
    float               slopes[ROWS];
    for (int64_t r = 0; r < rows; r++) {
        const int64_t query = (job.first + r) / of.shared, head = job.head * of.shared + (job.first + r) % of.shared;
        queries[r] = reinterpret_cast<const float *>(at(of.q, query, head, job.sequence));
        masks[r]   = of.mask == nullptr ? nullptr : mask_of(of, query, head, job.sequence);
        slopes[r]  = slope_of(of, head);
    }
    std::fill(scratch.sums, scratch.sums + rows * value_size, 0.0f);
    std::fill(scratch.most, scratch.most + rows, NONE);
    std::fill(scratch.total, scratch.total + rows, 0.0f);
    for (int64_t cell = job.from; cell < job.until; cell += CELLS) {
        const int64_t cells = std::min<int64_t>(CELLS, job.until - cell);
        const char *  keys = at(of.k, cell, job.head, job.sequence), *values = at(of.v, cell, job.head, job.sequence);
        bool          hidden[ROWS];
        for (int64_t r = 0; r < rows; r++) {
            hidden[r] = masks[r] != nullptr && all_hidden(masks[r] + cell, cells);
        }
        if (std::all_of(hidden, hidden + rows, [](bool it) { return it; })) {
            continue;
        }
        const bool few = rows <= FEW && cells % 4 == 0;
        if (few && of.k->type == GGML_TYPE_F16) {
            score_all(queries, rows, Halves{ keys, static_cast<int64_t>(of.k->nb[1]) }, key_size, cells, scratch.weights);
        } else {
            const int64_t whole = (cells + 3) / 4 * 4;
            widen(of.k, keys, cells, scratch.keys);
            std::fill(scratch.keys + cells * key_size, scratch.keys + whole * key_size, 0.0f);
            score_all(queries, rows, Floats{ reinterpret_cast<const char *>(scratch.keys), key_size * 4 }, key_size, whole, scratch.weights);
        }
        for (int64_t r = 0; r < rows; r++) {
            float * scores = scratch.weights + r * CELLS;
            if (hidden[r]) {
                std::fill(scores, scores + cells, 0.0f);
                continue;
            }
            finish(of, masks[r] == nullptr ? nullptr : masks[r] + cell, slopes[r], cells, scores);
            weigh(cells, value_size, scores, scratch.sums + r * value_size, scratch.most[r], scratch.total[r]);
        }
        if (few && of.v->type == GGML_TYPE_F16) {
            add_all(scratch.weights, rows, Halves{ values, static_cast<int64_t>(of.v->nb[1]) }, value_size, cells, scratch.sums);
        } else {
            widen(of.v, values, cells, scratch.values);
            add_all(scratch.weights, rows, Floats{ reinterpret_cast<const char *>(scratch.values), value_size * 4 }, value_size, cells, scratch.sums);
        }
    }
}

// Writes a row's result. A sink takes part of the weight and gives nothing.
void write(const Attention & of, int64_t query, int64_t head, int64_t sequence, float * sums, float most, float total) {
    const int64_t size = of.v->ne[0];
    if (of.sinks != nullptr) {
        const float sink = static_cast<const float *>(of.sinks->data)[head];
        const float top  = std::max(sink, most);
        scale_by(std::exp(most - top), size, sums);
        total = total * std::exp(most - top) + std::exp(sink - top);
    }
    scale_by(total == 0 ? 0 : 1 / total, size, sums);
    std::memcpy(static_cast<char *>(of.to->data) + ((sequence * of.to->ne[2] + query) * of.to->ne[1] + head) * of.to->nb[1], sums, size * sizeof(float));
}

// The part of ggml's buffer that a thread has. ggml plans it for 64 queries and 64 cells of each.
Scratch scratch_of(const Attention & of, const ggml_compute_params & params, int64_t thread) {
    const int64_t key_size = of.k->ne[0], value_size = of.v->ne[0];
    const int64_t each     = CELLS * (key_size + value_size) + ROWS * (CELLS + value_size + 2);
    float *       from     = static_cast<float *>(params.wdata) + thread * ((each + 15) / 16 * 16);
    Scratch       made;
    made.keys    = from;
    made.values  = made.keys + CELLS * key_size;
    made.weights = made.values + CELLS * value_size;
    made.sums    = made.weights + ROWS * CELLS;
    made.most    = made.sums + ROWS * value_size;
    made.total   = made.most + ROWS;
    return made;
}

// The rows of an attention in jobs: for each head of keys, tiles of its rows of about the same height.
struct Jobs {
    const Attention &            of;
    const std::vector<int64_t> & sequences;
    int64_t                      heads = of.k->ne[2], rows = of.q->ne[1] * of.shared;
    int64_t                      tiles = (rows + ROWS - 1) / ROWS, height = (rows + tiles - 1) / tiles;
    int64_t                      count = static_cast<int64_t>(sequences.size()) * heads * tiles;

    Job operator[](int64_t job) const {
        const int64_t first = job % tiles * height, pair = job / tiles;
        return { sequences[pair / heads], pair % heads, std::min(rows, first), std::min(rows, first + height), 0, of.k->ne[1] };
    }
};

void write_row(const Attention & of, const Job & job, int64_t r, const Scratch & scratch) {
    const int64_t row = job.first + r;
    write(of, row / of.shared, job.head * of.shared + row % of.shared, job.sequence, scratch.sums + r * of.v->ne[0], scratch.most[r], scratch.total[r]);
}

// Adds what another thread has summed over other cells to a row.
void join(int64_t size, int64_t r, const Scratch & own, const Scratch & other) {
    const float most = std::max(own.most[r], other.most[r]);
    if (other.most[r] == NONE) {
        return;
    }
    const float old_factor = std::exp(own.most[r] - most), new_factor = std::exp(other.most[r] - most);
    for (int64_t d = r * size; d < (r + 1) * size; d++) {
        own.sums[d] = own.sums[d] * old_factor + other.sums[d] * new_factor;
    }
    own.total[r] = own.total[r] * old_factor + other.total[r] * new_factor;
    own.most[r]  = most;
}

// Few jobs for many threads: several threads take a part of the cells of each.
void compute_split(const Jobs & jobs, const ggml_compute_params & params, int64_t parts) {
    const Attention & of = jobs.of;
    const auto        scratch = [&](int64_t thread) { return scratch_of(of, params, thread); };
    if (params.ith < jobs.count * parts) {
        Job           job  = jobs[params.ith / parts];
        const int64_t each = (job.until + parts * CELLS - 1) / (parts * CELLS) * CELLS;
        job.from           = std::min(job.until, params.ith % parts * each);
        job.until          = std::min(job.until, job.from + each);
        compute(of, job, scratch(params.ith));
    }
    ggml_barrier(params.threadpool);
    for (int64_t row = params.ith; row < jobs.count * jobs.height; row += params.nth) {
        const int64_t index = row / jobs.height, r = row % jobs.height;
        const Job     job   = jobs[index];
        if (r < job.last - job.first) {
            for (int64_t part = 1; part < parts; part++) {
                join(of.v->ne[0], r, scratch(index * parts), scratch(index * parts + part));
            }
            write_row(of, job, r, scratch(index * parts));
        }
    }
}

void compute_all(const Jobs & jobs, const ggml_compute_params & params) {
    const bool any = params.threadpool != nullptr && params.nth > 1;
    if (any) {
        if (params.ith == 0) {
            ggml_threadpool_chunk_set(params.threadpool, params.nth);
        }
        ggml_barrier(params.threadpool);
    }
    const Scratch scratch = scratch_of(jobs.of, params, params.ith);
    for (int64_t next = params.ith; next < jobs.count; next = any ? ggml_threadpool_chunk_add(params.threadpool, 1) : next + params.nth) {
        const Job job = jobs[next];
        compute(jobs.of, job, scratch);
        for (int64_t r = 0; r < job.last - job.first; r++) {
            write_row(jobs.of, job, r, scratch);
        }
    }
}

// Whether no row of a sequence looks beyond the cells that are left to ggml.
bool is_short(const Attention & of, int64_t sequence) {
    const int64_t rows = of.q->ne[1];
    for (int64_t r = rows - 1; r >= 0; r--) {
        for (int64_t h = 0; h < (of.mask == nullptr ? 1 : of.mask->ne[2]); h++) {
            if (of.mask == nullptr || !all_hidden(mask_of(of, r, h, sequence) + SHORT, of.k->ne[1] - SHORT)) {
                return false;
            }
        }
    }
    return true;
}

// Has ggml compute a short sequence with just the cells that it would have alone, so that no other one beside it
// makes a difference.
void leave_to_ggml(const Attention & of, const ggml_compute_params & params, int64_t sequence) {
    const auto one = [&](const ggml_tensor * tensor) {
        ggml_tensor copy = *tensor;
        copy.data        = static_cast<char *>(copy.data) + sequence % copy.ne[3] * copy.nb[3];
        copy.ne[3]       = 1;
        return copy;
    };
    ggml_tensor q = one(of.q), k = one(of.k), v = one(of.v), mask = one(of.mask), to = *of.to;
    k.ne[1] = v.ne[1] = mask.ne[0] = SHORT;
    to.data   = static_cast<char *>(to.data) + sequence * to.nb[3];
    to.ne[3]  = 1;
    to.src[0] = &q;
    to.src[1] = &k;
    to.src[2] = &v;
    to.src[3] = &mask;
    hutch_ggml_flash_attn_ext(&params, &to);
    ggml_barrier(params.threadpool); // what comes next uses its buffer and its counter
}

} // namespace

// False when it is not made here.
bool attention(const ggml_compute_params & params, ggml_tensor * to) {
    Attention  of{ to->src[0], to->src[1], to->src[2], to->src[3], to->src[4], to, 0, 0, 0, 0 };
    const auto known = [](const ggml_tensor * tensor) {
        const bool widens = tensor->type == GGML_TYPE_F32 || ggml_get_type_traits(tensor->type)->to_float != nullptr;
        return widens && tensor->ne[0] % 8 == 0 && tensor->nb[0] == ggml_type_size(tensor->type);
    };
    const auto alike = [&](int i) { return of.k->ne[i] == of.v->ne[i]; };
    const bool fits  = alike(1) && alike(2) && alike(3) && of.q->ne[3] == of.k->ne[3] && of.q->ne[2] % of.k->ne[2] == 0;
    // A quantised row that only one row looks at is widened for it alone, which ggml does not.
    const bool lone = of.q->ne[1] == 1 && of.q->ne[2] == of.k->ne[2] && (ggml_is_quantized(of.k->type) || ggml_is_quantized(of.v->type));
    if (params.use_ref || of.k->ne[1] <= SHORT || lone || of.q->type != GGML_TYPE_F32 || !known(of.k) || !known(of.v) || !fits) {
        return false;
    }
    std::memcpy(&of.scale, to->op_params, sizeof(float));
    std::memcpy(&of.max_bias, to->op_params + 1, sizeof(float));
    std::memcpy(&of.softcap, to->op_params + 2, sizeof(float));
    of.shared = of.q->ne[2] / of.k->ne[2];
    std::vector<int64_t> sequences;
    for (int64_t sequence = 0; sequence < of.q->ne[3]; sequence++) {
        if (is_short(of, sequence)) {
            leave_to_ggml(of, params, sequence);
        } else {
            sequences.push_back(sequence);
        }
    }
    if (sequences.empty()) {
        return true;
    }
    const Jobs    jobs{ of, sequences };
    const int64_t parts = std::min<int64_t>(params.nth / jobs.count, (of.k->ne[1] + CELLS - 1) / CELLS);
    if (params.threadpool != nullptr && parts > 1) {
        compute_split(jobs, params, parts);
    } else {
        compute_all(jobs, params);
    }
    return true;
}

} // namespace hutch

#endif

void ggml_compute_forward_flash_attn_ext(const ggml_compute_params * params, ggml_tensor * dst) {
#ifdef HUTCH_KERNELS_AVX2
    if (hutch::wanted() && hutch::attention(*params, dst)) {
        return;
    }
#endif
    hutch_ggml_flash_attn_ext(params, dst);
}

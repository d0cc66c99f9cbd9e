// Products of Q8_0 weights with rows of activations, for CPUs that have AVX2 and nothing made for products of
// bytes (VNNI, AVX-512): a part of ggml's CPU backend.
//
// ggml asks one function for products before it uses its general ones, llamafile_sgemm. Here it makes those
// of Q8_0 itself, in two ways that both keep the sums of 8 rows of weights side by side in a register, so
// that a block of 32 is scaled once for 8 results:
//   few columns   bytes are multiplied as they lie, and the weights that come next are fetched meanwhile: a
//                 step of few rows is bound by memory, and pieces of rows are too short for a CPU to foresee
//   many columns  weights and activations are widened to 16 bits once for all columns
// Sums of a block are exact and blocks are added in order: a result is the same to the bit whatever the number
// of columns, rows or threads, and in both ways.
//
// All else is ggml's, which is compiled as it is under another name (cmake/hutch-kernels.cmake). Programs that
// want ggml alone, as bench/'s peers, get it: this answers only where HUTCH_KERNELS=1, which the shim sets.
#include "ggml-cpu-impl.h"
#include "sgemm.h"

extern "C" bool hutch_ggml_sgemm(const ggml_compute_params *, int64_t, int64_t, int64_t, const void *, int64_t, const void *, int64_t,
                                 void *, int64_t, int, int, int);

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__) && !defined(__AVX512F__) && !defined(__AVXVNNI__)

#define GGML_COMMON_DECL_CPP
#include "ggml-common.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <immintrin.h>

namespace {

constexpr int     WIDTH     = 8;         // rows of weights side by side: floats in a register
constexpr int     TILE      = 4;         // columns whose sums stay in registers
constexpr int     PAIRS     = QK8_0 / 2; // of neighbours in a block
constexpr int     CHUNK     = 16;        // blocks of a row at a time: weights and activations stay near
constexpr int     COLUMNS   = 64;        // columns at a time
constexpr int64_t MANY      = 12;        // columns from which on widening pays
constexpr int64_t MAX_SHARE = 128;       // rows that a thread takes at a time
constexpr int64_t LINE      = 64;        // bytes that memory gives at once

struct Matrices {
    const block_q8_0 * weights;
    int64_t            weights_stride; // blocks from one row to the next
    const block_q8_0 * activations;
    int64_t            activations_stride;
    float *            results;
    int64_t            results_stride; // floats from one column to the next
    int64_t            rows;
    int64_t            columns;
    int64_t            blocks; // of a row
};

using Rows = const block_q8_0 * [WIDTH];

// The 8 rows from `row` on; the last one again where there are no more.
void find_rows(const Matrices & of, int64_t row, Rows & rows) {
    for (int i = 0; i < WIDTH; i++) {
        rows[i] = of.weights + std::min(row + i, of.rows - 1) * of.weights_stride;
    }
}

__m256 scales(const Rows & rows, int64_t block) {
    alignas(16) ggml_half halves[WIDTH];
    for (int i = 0; i < WIDTH; i++) {
        halves[i] = rows[i][block].d;
    }
    return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i *>(halves)));
}

void fetch(const block_q8_0 * from, const block_q8_0 * to) {
    const char * end = reinterpret_cast<const char *>(to);
    for (const char * at = reinterpret_cast<const char *>(from); at < end; at += LINE) {
        _mm_prefetch(at, _MM_HINT_T0);
    }
}

void copy(float * to, const float * from, int64_t count) {
    if (count >= WIDTH) {
        _mm256_storeu_ps(to, _mm256_loadu_ps(from)); // not worth a call
    } else {
        std::memcpy(to, from, count * sizeof(float));
    }
}

// The products of one block of 4 rows with one block of a column.
__m128i dots(const Rows & rows, int first, int64_t block, __m256i column) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i       parts[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const __m256i row   = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(rows[first + i][block].qs));
        const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(row), _mm256_sign_epi8(column, row));
        parts[i]            = _mm256_madd_epi16(pairs, ones);
    }
    const __m256i a   = _mm256_add_epi32(_mm256_unpacklo_epi32(parts[0], parts[1]), _mm256_unpackhi_epi32(parts[0], parts[1]));
    const __m256i b   = _mm256_add_epi32(_mm256_unpacklo_epi32(parts[2], parts[3]), _mm256_unpackhi_epi32(parts[2], parts[3]));
    const __m256i sum = _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    return _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
}

// 8 rows times N columns; fetches `next`, as many rows, meanwhile.
template <int N> void few(const Matrices & of, const Rows & rows, int64_t row, int64_t column, const block_q8_0 * next) {
    __m128 lower[N];
    __m128 upper[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
        lower[n] = upper[n] = _mm_setzero_ps();
    }
    for (int64_t b = 0; b < of.blocks; b++) {
        if (next != nullptr) {
            fetch(next + b * WIDTH, next + (b + 1) * WIDTH);
        }
        const __m256 row_scales = scales(rows, b);
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            const block_q8_0 & from  = of.activations[(column + n) * of.activations_stride + b];
            const __m256i      bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from.qs));
            const __m256       scale = _mm256_mul_ps(row_scales, _mm256_set1_ps(_cvtsh_ss(from.d)));
            lower[n]                 = _mm_fmadd_ps(_mm256_castps256_ps128(scale), _mm_cvtepi32_ps(dots(rows, 0, b, bytes)), lower[n]);
            upper[n]                 = _mm_fmadd_ps(_mm256_extractf128_ps(scale, 1), _mm_cvtepi32_ps(dots(rows, 4, b, bytes)), upper[n]);
        }
    }
    for (int n = 0; n < N; n++) {
        alignas(32) float sums[WIDTH];
        _mm_store_ps(sums, lower[n]);
        _mm_store_ps(sums + 4, upper[n]);
        copy(of.results + (column + n) * of.results_stride + row, sums, of.rows - row);
    }
}

void few(const Matrices & of, int64_t first, int64_t last) {
    for (int64_t row = first; row < last; row += WIDTH) {
        Rows rows;
        find_rows(of, row, rows);
        // Rows lie one behind the other but for views of a part; there is nothing behind the last.
        const bool         more   = of.weights_stride == of.blocks && row + 2 * WIDTH <= of.rows;
        const block_q8_0 * next   = more ? rows[0] + WIDTH * of.weights_stride : nullptr;
        int64_t            column = 0;
        for (; of.columns - column >= TILE; column += TILE, next = nullptr) {
            few<TILE>(of, rows, row, column, next);
        }
        switch (of.columns - column) {
            case 3:
                few<3>(of, rows, row, column, next);
                break;
            case 2:
                few<2>(of, rows, row, column, next);
                break;
            case 1:
                few<1>(of, rows, row, column, next);
                break;
            default:
                break;
        }
    }
}

// Two neighbours of each of 8 rows, as dwords; times 256, which costs nothing to make and `scale` takes back:
// 32 products of 127 × 127 × 256 are less than 2^27.
struct Weights {
    alignas(32) int16_t pairs[PAIRS][2 * WIDTH];
    alignas(32) float scale[WIDTH];
};

struct Activations {
    alignas(16) int32_t pairs[PAIRS];
};

struct Scratch {
    Weights     weights[CHUNK];
    Activations activations[COLUMNS][CHUNK];
    float       scales[COLUMNS][CHUNK];
    alignas(32) float sums[COLUMNS][WIDTH];
};

// Of each four of a block, the first is paired with the third and the second with the fourth, as shifts within
// words give them.
void widen(const Rows & rows, int64_t block, Weights & to) {
    const __m256i high = _mm256_set1_epi16(static_cast<int16_t>(0xFF00));
    for (int half = 0; half < 2; half++) {
        __m256i row[4];
        for (int i = 0; i < 4; i++) {
            const auto part = [&](int r) { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(rows[r][block].qs + 16 * half)); };
            row[i]          = _mm256_inserti128_si256(_mm256_castsi128_si256(part(i)), part(i + 4), 1);
        }
        const __m256i a = _mm256_unpacklo_epi32(row[0], row[1]);
        const __m256i b = _mm256_unpacklo_epi32(row[2], row[3]);
        const __m256i c = _mm256_unpackhi_epi32(row[0], row[1]);
        const __m256i d = _mm256_unpackhi_epi32(row[2], row[3]);

        const __m256i fours[4] = { _mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b), _mm256_unpacklo_epi64(c, d),
                                   _mm256_unpackhi_epi64(c, d) };
        for (int i = 0; i < 4; i++) {
            auto * pairs = reinterpret_cast<__m256i *>(to.pairs[8 * half + 2 * i]);
            _mm256_store_si256(pairs, _mm256_slli_epi16(fours[i], 8));
            _mm256_store_si256(pairs + 1, _mm256_and_si256(fours[i], high));
        }
    }
    _mm256_store_ps(to.scale, _mm256_mul_ps(scales(rows, block), _mm256_set1_ps(1.0F / 256)));
}

void widen(const block_q8_0 & from, Activations & to, float & scale) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from.qs));
    const __m256i even  = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
    const __m256i odd   = _mm256_srai_epi16(bytes, 8);
    const __m256i lower = _mm256_unpacklo_epi32(even, odd);
    const __m256i upper = _mm256_unpackhi_epi32(even, odd);

    auto * pairs = reinterpret_cast<__m128i *>(to.pairs);
    _mm_store_si128(pairs, _mm256_castsi256_si128(lower));
    _mm_store_si128(pairs + 1, _mm256_castsi256_si128(upper));
    _mm_store_si128(pairs + 2, _mm256_extracti128_si256(lower, 1));
    _mm_store_si128(pairs + 3, _mm256_extracti128_si256(upper, 1));
    scale = _cvtsh_ss(from.d);
}

// Adds `blocks` widened blocks of 8 rows times N columns to the sums of those columns.
template <int N> void multiply(Scratch & scratch, int column, int64_t blocks) {
    const Activations(*const activations)[CHUNK] = scratch.activations + column;
    const float(*const column_scales)[CHUNK]     = scratch.scales + column;

    __m256 sums[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
        sums[n] = _mm256_load_ps(scratch.sums[column + n]);
    }
    for (int64_t b = 0; b < blocks; b++) {
        const Weights & weights = scratch.weights[b];

        __m256i totals[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            totals[n] = _mm256_setzero_si256();
        }
#pragma GCC unroll 16
        for (int i = 0; i < PAIRS; i++) {
            const __m256i pair = _mm256_load_si256(reinterpret_cast<const __m256i *>(weights.pairs[i]));
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
                const __m256i products = _mm256_madd_epi16(pair, _mm256_set1_epi32(activations[n][b].pairs[i]));
                totals[n]              = _mm256_add_epi32(totals[n], products);
#ifdef __GNUC__
                // GCC would add products to each other first, and has no registers to keep them in.
                asm("" : "+x"(totals[n]));
#endif
            }
        }
        const __m256 scale = _mm256_load_ps(weights.scale);
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            const __m256 both = _mm256_mul_ps(scale, _mm256_broadcast_ss(column_scales[n] + b));
            sums[n]           = _mm256_fmadd_ps(both, _mm256_cvtepi32_ps(totals[n]), sums[n]);
        }
    }
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
        _mm256_store_ps(scratch.sums[column + n], sums[n]);
    }
}

void multiply(Scratch & scratch, int columns, int64_t blocks) {
    int column = 0;
    for (; columns - column >= TILE; column += TILE) {
        multiply<TILE>(scratch, column, blocks);
    }
    switch (columns - column) {
        case 3:
            return multiply<3>(scratch, column, blocks);
        case 2:
            return multiply<2>(scratch, column, blocks);
        case 1:
            return multiply<1>(scratch, column, blocks);
        default:
            return;
    }
}

// Rows [first, last) times the columns from `column` on.
void many(const Matrices & of, int64_t first, int64_t last, int64_t column, int columns, Scratch & scratch) {
    for (int64_t at = 0; at < of.blocks; at += CHUNK) {
        const int64_t blocks = std::min<int64_t>(CHUNK, of.blocks - at);
        for (int c = 0; c < columns; c++) {
            const block_q8_0 * from = of.activations + (column + c) * of.activations_stride + at;
            for (int64_t b = 0; b < blocks; b++) {
                widen(from[b], scratch.activations[c][b], scratch.scales[c][b]);
            }
        }
        for (int64_t row = first; row < last; row += WIDTH) {
            Rows rows;
            find_rows(of, row, rows);
            for (int64_t b = 0; b < blocks; b++) {
                widen(rows, at + b, scratch.weights[b]);
            }
            for (int64_t r = row + WIDTH; r < std::min(row + 2 * WIDTH, of.rows); r++) {
                const block_q8_0 * next = of.weights + r * of.weights_stride + at;
                fetch(next, next + blocks);
            }
            float * results = of.results + column * of.results_stride + row;
            for (int c = 0; c < columns; c++) {
                if (at == 0) {
                    _mm256_store_ps(scratch.sums[c], _mm256_setzero_ps());
                } else {
                    copy(scratch.sums[c], results + c * of.results_stride, of.rows - row);
                }
            }
            multiply(scratch, columns, blocks);
            for (int c = 0; c < columns; c++) {
                copy(results + c * of.results_stride, scratch.sums[c], of.rows - row);
            }
        }
    }
}

void product(const Matrices & of, int64_t first, int64_t last) {
    if (of.columns < MANY) {
        return few(of, first, last);
    }
    static thread_local Scratch scratch;
    for (int64_t column = 0; column < of.columns; column += COLUMNS) {
        many(of, first, last, column, static_cast<int>(std::min<int64_t>(COLUMNS, of.columns - column)), scratch);
    }
}

// The rows in shares, which threads take as they get on: one of them may have to wait for its CPU. ggml has set
// its counter when it calls for the first matrix behind which the work buffer begins; of further ones each
// thread takes its own shares.
void divide(const ggml_compute_params & params, const Matrices & of) {
    const int64_t wanted = of.rows / (4 * params.nth) / WIDTH * WIDTH;
    const int64_t rows   = std::clamp<int64_t>(wanted, WIDTH, MAX_SHARE);
    const bool    any    = params.threadpool != nullptr && params.wdata == of.activations;
    for (int64_t share = params.ith; share * rows < of.rows;
         share         = any ? ggml_threadpool_chunk_add(params.threadpool, 1) : share + params.nth) {
        product(of, share * rows, std::min(of.rows, (share + 1) * rows));
    }
}

bool wanted() {
    static const bool answer = [] {
        const char * text = std::getenv("HUTCH_KERNELS");
        return text != nullptr && std::strcmp(text, "1") == 0;
    }();
    return answer;
}

} // namespace

// `m` rows of `k` blocks times `n` columns.
bool llamafile_sgemm(const ggml_compute_params * params, int64_t m, int64_t n, int64_t k, const void * a, int64_t lda, const void * b,
                     int64_t ldb, void * c, int64_t ldc, int a_type, int b_type, int c_type) {
    if (a_type != GGML_TYPE_Q8_0 || b_type != GGML_TYPE_Q8_0 || c_type != GGML_TYPE_F32 || !wanted()) {
        return hutch_ggml_sgemm(params, m, n, k, a, lda, b, ldb, c, ldc, a_type, b_type, c_type);
    }
    divide(*params,
           { static_cast<const block_q8_0 *>(a), lda, static_cast<const block_q8_0 *>(b), ldb, static_cast<float *>(c), ldc, m, n, k });
    return true;
}

#else

bool llamafile_sgemm(const ggml_compute_params * params, int64_t m, int64_t n, int64_t k, const void * a, int64_t lda, const void * b,
                     int64_t ldb, void * c, int64_t ldc, int a_type, int b_type, int c_type) {
    return hutch_ggml_sgemm(params, m, n, k, a, lda, b, ldb, c, ldc, a_type, b_type, c_type);
}

#endif

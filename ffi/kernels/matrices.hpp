// What products of matrices have in common, whatever the type of the weights. Only for CPUs that have
// AVX2 and nothing made for products of bytes (VNNI, AVX-512): others have better ways in ggml.
#pragma once

#include "ggml-cpu-impl.h" // defines what MSVC does not: __FMA__ and others

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__) && !defined(__AVX512F__) && !defined(__AVXVNNI__)
#define HUTCH_KERNELS_AVX2 1

#define GGML_COMMON_DECL_C
#include "ggml-common.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <immintrin.h>
#include <type_traits>

namespace hutch {

constexpr int64_t WIDTH = 8; // rows of weights side by side: floats in a register
constexpr int     TILE  = 4; // columns whose sums stay in registers

// Blocks that lie `stride` bytes from one row, or column, to the next.
template <typename Block> struct Lines {
    const void * first;
    int64_t      stride;

    const Block * operator[](int64_t line) const {
        return reinterpret_cast<const Block *>(static_cast<const char *>(first) + line * stride);
    }
};

// Rows of weights times columns of activations.
template <typename Weight, typename Activation> struct Matrices {
    Lines<Weight>     weights;
    Lines<Activation> activations;
    float *           results;
    int64_t           results_stride; // floats from one column to the next
    int64_t           rows;
    int64_t           columns;
    int64_t           blocks; // of a row
};

template <typename Block> using Rows = const Block * [WIDTH];

// The 8 rows from `row` on; the last one again where there are no more.
template <typename Weight, typename Activation> void find_rows(const Matrices<Weight, Activation> & of, int64_t row, Rows<Weight> & rows) {
    for (int64_t i = 0; i < WIDTH; i++) {
        rows[i] = of.weights[std::min(row + i, of.rows - 1)];
    }
}

// Asks memory for [from, to). Pieces of rows are too short for a CPU to foresee what comes next.
template <typename Block> void fetch(const Block * from, const Block * to) {
    const char * end = reinterpret_cast<const char *>(to);
    for (const char * at = reinterpret_cast<const char *>(from); at < end; at += 64) {
        _mm_prefetch(at, _MM_HINT_T0);
    }
}

// 8 results, or as many as there are rows.
inline void copy(float * to, const float * from, int64_t count) {
    if (count >= WIDTH) {
        _mm256_storeu_ps(to, _mm256_loadu_ps(from)); // not worth a call
    } else {
        std::memcpy(to, from, count * sizeof(float));
    }
}

// Goes through columns as many at a time as a tile has, the rest at once: `make(N, column)`, N as a constant.
template <typename Make> void in_tiles(int64_t columns, const Make & make) {
    int64_t column = 0;
    for (; columns - column >= TILE; column += TILE) {
        make(std::integral_constant<int, TILE>(), column);
    }
    static_assert(TILE == 4, "the rest is 3 columns at most");
    switch (columns - column) {
        case 3:
            return make(std::integral_constant<int, 3>(), column);
        case 2:
            return make(std::integral_constant<int, 2>(), column);
        case 1:
            return make(std::integral_constant<int, 1>(), column);
        default:
            return;
    }
}

inline __m256 to_floats(const ggml_half (&halves)[WIDTH]) {
    return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i *>(halves)));
}

// 16-bit floats, a few at a time.
struct F16Block {
    ggml_half values[32];
};
struct Bf16Block {
    uint16_t values[32];
};

// Rows [first, last) of products.
using Q8_0 = Matrices<block_q8_0, block_q8_0>;
using Q5_K = Matrices<block_q5_K, block_q8_K>;
using Q6_K = Matrices<block_q6_K, block_q8_K>;
using F16  = Matrices<F16Block, F16Block>;
using Bf16 = Matrices<Bf16Block, Bf16Block>;
void product(const Q8_0 & of, int64_t first, int64_t last);
void product(const Q5_K & of, int64_t first, int64_t last);
void product(const Q6_K & of, int64_t first, int64_t last);
void product(const F16 & of, int64_t first, int64_t last);
void product(const Bf16 & of, int64_t first, int64_t last);

} // namespace hutch

#endif

// Products of many columns: weights and activations are widened to 16 bits once for all columns, and the sums of
// 8 rows of weights lie side by side in a register, so that a block is scaled once for 8 results.
#pragma once

#include "matrices.hpp"

#ifdef HUTCH_KERNELS_AVX2

#include <type_traits>

namespace hutch {

constexpr int COLUMNS = 64; // at a time

// A block of 8 rows. A format's pairs are two neighbours of each row, as dwords, with all that is integer in their
// scales; `mins` are to be multiplied with sums of activations.
template <typename Format> struct Weights {
    alignas(32) int16_t pairs[Format::PAIRS][2 * WIDTH];
    alignas(32) int16_t mins[std::max(1, Format::MIN_PAIRS)][2 * WIDTH];
    alignas(32) float scale[WIDTH];
    alignas(32) float min_scale[WIDTH];
};

// A block of a column, paired in the same order.
template <typename Format> struct Activations {
    alignas(16) int32_t pairs[Format::PAIRS];
    int32_t sums[std::max(1, Format::MIN_PAIRS)];
    float   scale;
};

template <typename Format> struct Scratch {
    Weights<Format>     weights[Format::CHUNK];
    Activations<Format> activations[COLUMNS][Format::CHUNK];
    alignas(32) float results[COLUMNS][WIDTH];
};

// The order in which 32 bytes of a block are paired: of each four, the first with the third and the second with the
// fourth, as shifts within words give them.
inline void widen(const int8_t * from, int32_t * to) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
    const __m256i even  = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
    const __m256i odd   = _mm256_srai_epi16(bytes, 8);
    const __m256i lower = _mm256_unpacklo_epi32(even, odd);
    const __m256i upper = _mm256_unpackhi_epi32(even, odd);

    auto * pairs = reinterpret_cast<__m128i *>(to);
    _mm_store_si128(pairs, _mm256_castsi256_si128(lower));
    _mm_store_si128(pairs + 1, _mm256_castsi256_si128(upper));
    _mm_store_si128(pairs + 2, _mm256_extracti128_si256(lower, 1));
    _mm_store_si128(pairs + 3, _mm256_extracti128_si256(upper, 1));
}

// Pairs of 16 bytes of 8 rows, times 256, which costs less than without; `put(i, pairs)` takes the 8 of them.
template <typename Row, typename Put> void pair_up(const Row & row, const Put & put) {
    const __m256i high = _mm256_set1_epi16(static_cast<int16_t>(0xFF00));
    __m256i       two[4]; // rows
    for (int i = 0; i < 4; i++) {
        const auto part = [&](int r) { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(row(r))); };
        two[i]          = _mm256_inserti128_si256(_mm256_castsi128_si256(part(i)), part(i + 4), 1);
    }
    const __m256i a = _mm256_unpacklo_epi32(two[0], two[1]);
    const __m256i b = _mm256_unpacklo_epi32(two[2], two[3]);
    const __m256i c = _mm256_unpackhi_epi32(two[0], two[1]);
    const __m256i d = _mm256_unpackhi_epi32(two[2], two[3]);

    const __m256i fours[4] = { _mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b), _mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d) };
    for (int i = 0; i < 4; i++) {
        put(2 * i, _mm256_slli_epi16(fours[i], 8));
        put(2 * i + 1, _mm256_and_si256(fours[i], high));
    }
}

template <int N, int PAIRS, int STRIDE>
void add_products(__m256i (&totals)[N], const int16_t (*weights)[2 * WIDTH], const int32_t * activations) {
    constexpr int STEP = std::min(PAIRS, 16);
    static_assert(PAIRS % STEP == 0, "pairs are multiplied in whole steps");
    for (int from = 0; from < PAIRS; from += STEP) {
#pragma GCC unroll 16
        for (int i = 0; i < STEP; i++) {
            const __m256i pair = _mm256_load_si256(reinterpret_cast<const __m256i *>(weights[from + i]));
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
                const __m256i products = _mm256_madd_epi16(pair, _mm256_set1_epi32(activations[n * STRIDE + from + i]));
                totals[n]              = _mm256_add_epi32(totals[n], products);
#ifdef __GNUC__
                // GCC would add products to each other first, and has no registers to keep them in.
                asm("" : "+x"(totals[n]));
#endif
            }
        }
    }
}

// Adds `blocks` widened blocks of 8 rows times N columns to the results of those columns.
template <typename Format, int N> void multiply(Scratch<Format> & scratch, int column, int64_t blocks) {
    constexpr int STRIDE = Format::CHUNK * sizeof(Activations<Format>) / sizeof(int32_t);

    __m256 results[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
        results[n] = _mm256_load_ps(scratch.results[column + n]);
    }
    for (int64_t b = 0; b < blocks; b++) {
        const Weights<Format> &     weights     = scratch.weights[b];
        const Activations<Format> & activations = scratch.activations[column][b];

        const auto add = [&](const int16_t(*pairs)[2 * WIDTH], const int32_t * with, const float * scales, auto count, float sign) {
            __m256i totals[N];
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
                totals[n] = _mm256_setzero_si256();
            }
            add_products<N, decltype(count)::value, STRIDE>(totals, pairs, with);
            const __m256 scale = _mm256_load_ps(scales);
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
                const __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(sign * scratch.activations[column + n][b].scale));
                results[n]        = _mm256_fmadd_ps(both, _mm256_cvtepi32_ps(totals[n]), results[n]);
            }
        };
        add(weights.pairs, activations.pairs, weights.scale, std::integral_constant<int, Format::PAIRS>(), 1);
        if constexpr (Format::MIN_PAIRS > 0) {
            add(weights.mins, activations.sums, weights.min_scale, std::integral_constant<int, Format::MIN_PAIRS>(), -1);
        }
    }
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
        _mm256_store_ps(scratch.results[column + n], results[n]);
    }
}

template <typename Format> void multiply(Scratch<Format> & scratch, int columns, int64_t blocks) {
    int column = 0;
    for (; columns - column >= TILE; column += TILE) {
        multiply<Format, TILE>(scratch, column, blocks);
    }
    switch (columns - column) {
        case 3:
            return multiply<Format, 3>(scratch, column, blocks);
        case 2:
            return multiply<Format, 2>(scratch, column, blocks);
        case 1:
            return multiply<Format, 1>(scratch, column, blocks);
        default:
            return;
    }
}

// Rows [first, last) times `columns` columns from `column` on.
template <typename Format> void many(const typename Format::Product & of, int64_t first, int64_t last, int64_t column, int columns) {
    static thread_local Scratch<Format> scratch;
    for (int64_t at = 0; at < of.blocks; at += Format::CHUNK) {
        const int64_t blocks = std::min<int64_t>(Format::CHUNK, of.blocks - at);
        for (int c = 0; c < columns; c++) {
            for (int64_t b = 0; b < blocks; b++) {
                Format::widen(of.activations[(column + c) * of.activations_stride + at + b], scratch.activations[c][b]);
            }
        }
        for (int64_t row = first; row < last; row += WIDTH) {
            Rows<typename Format::Weight> rows;
            find_rows(of, row, rows);
            for (int64_t b = 0; b < blocks; b++) {
                Format::widen(rows, at + b, scratch.weights[b]);
            }
            for (int64_t r = row + WIDTH; r < std::min(row + 2 * WIDTH, of.rows); r++) {
                const auto * next = of.weights + r * of.weights_stride + at;
                fetch(next, next + blocks);
            }
            float * results = of.results + column * of.results_stride + row;
            for (int c = 0; c < columns; c++) {
                if (at == 0) {
                    _mm256_store_ps(scratch.results[c], _mm256_setzero_ps());
                } else {
                    copy(scratch.results[c], results + c * of.results_stride, of.rows - row);
                }
            }
            multiply(scratch, columns, blocks);
            for (int c = 0; c < columns; c++) {
                copy(results + c * of.results_stride, scratch.results[c], of.rows - row);
            }
        }
    }
}

template <typename Format> void many(const typename Format::Product & of, int64_t first, int64_t last) {
    for (int64_t column = 0; column < of.columns; column += COLUMNS) {
        many<Format>(of, first, last, column, static_cast<int>(std::min<int64_t>(COLUMNS, of.columns - column)));
    }
}

} // namespace hutch

#endif

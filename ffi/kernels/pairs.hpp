// Formats whose values are whole numbers with scales: widened to 16 bits and multiplied two neighbours at a time, so
// that a block is scaled once for 8 rows.
#pragma once

#include "wide.hpp"

#ifdef HUTCH_KERNELS_AVX2

namespace hutch {

// Blocks of P pairs of neighbours; with the least values of M pairs of parts, or without (0). `C` blocks of a row are
// multiplied at a time: what is widened stays in the first caches.
template <int P, int M, int C> struct PairFormat {
    static constexpr int MIN_PAIRS = M;
    static constexpr int CHUNK     = C;

    // A block of 8 rows: pairs of each row, as dwords, with all that is whole in their scales; `mins` are to be
    // multiplied with sums of activations.
    struct Weights {
        alignas(32) int16_t pairs[P][2 * WIDTH];
        alignas(32) int16_t mins[std::max(1, M)][2 * WIDTH];
        alignas(32) float scale[WIDTH];
        alignas(32) float min_scale[WIDTH];
    };

    // A block of a column, paired in the same order.
    struct Activations {
        alignas(16) int32_t pairs[P];
        int32_t sums[std::max(1, M)];
        float   scale;
    };

    template <int N> static void add(const Weights & weights, const Activations * activations, __m256 (&results)[N]) {
        add_scaled<N, P>(weights.pairs, activations->pairs, activations, _mm256_load_ps(weights.scale), results);
        if constexpr (M > 0) {
            const __m256 scale = _mm256_xor_ps(_mm256_load_ps(weights.min_scale), _mm256_set1_ps(-0.0F));
            add_scaled<N, M>(weights.mins, activations->sums, activations, scale, results);
        }
    }

  private:
    template <int N, int COUNT>
    static void add_scaled(const int16_t (*weights)[2 * WIDTH], const int32_t * pairs, const Activations * activations, __m256 scale, __m256 (&results)[N]) {
        constexpr int STRIDE = C * sizeof(Activations) / sizeof(int32_t);
        constexpr int STEP   = std::min(COUNT, 16);
        static_assert(COUNT % STEP == 0, "pairs are multiplied in whole steps");

        __m256i totals[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            totals[n] = _mm256_setzero_si256();
        }
        for (int from = 0; from < COUNT; from += STEP) {
#pragma GCC unroll 16
            for (int i = 0; i < STEP; i++) {
                const __m256i pair = _mm256_load_si256(reinterpret_cast<const __m256i *>(weights[from + i]));
#pragma GCC unroll 4
                for (int n = 0; n < N; n++) {
                    const __m256i products = _mm256_madd_epi16(pair, _mm256_set1_epi32(pairs[n * STRIDE + from + i]));
                    totals[n]              = _mm256_add_epi32(totals[n], products);
#ifdef __GNUC__
                    // GCC would add products to each other first, and has no registers to keep them in.
                    asm("" : "+x"(totals[n]));
#endif
                }
            }
        }
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            const __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(activations[n * C].scale));
            results[n]        = _mm256_fmadd_ps(both, _mm256_cvtepi32_ps(totals[n]), results[n]);
        }
    }
};

// The order in which 32 bytes of a block are paired: of each four, the first with the third and the second with the
// fourth, as shifts within words give them.
inline void widen_bytes(const int8_t * from, int32_t * to) {
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

} // namespace hutch

#endif

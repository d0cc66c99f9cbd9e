// Products of F16 and BF16 weights with many columns, widened to 32 bits. ggml widens anew for every few columns.
#include "wide.hpp"

#ifdef HUTCH_KERNELS_AVX2

namespace hutch {
namespace {

__m128i load_four(const uint16_t * from) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i *>(from));
}

// Eight halves, as floats.
__m256 to_floats(__m128i halves, const F16Block *) {
    return _mm256_cvtph_ps(halves);
}

__m256 to_floats(__m128i halves, const Bf16Block *) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

template <typename Block> struct Format {
    static constexpr int SIZE  = sizeof(Block) / sizeof(uint16_t); // values in a block
    static constexpr int CHUNK = 8;                                // blocks of a row at a time: what is widened stays in the first caches

    using Product = Matrices<Block, Block>;
    using Weight  = Block;

    struct Weights {
        alignas(32) float values[SIZE][WIDTH];
    };

    struct Activations {
        alignas(32) float values[SIZE];
    };

    static void widen(const Rows<Block> & rows, int64_t block, Weights & to) {
        for (int from = 0; from < SIZE; from += 4) {
            __m256 two[4]; // four values of two rows each
            for (int i = 0; i < 4; i++) {
                const auto part = [&](int r) { return load_four(rows[r][block].values + from); };
                two[i]          = to_floats(_mm_unpacklo_epi64(part(i), part(i + 4)), rows[0]);
            }
            const __m256 a = _mm256_unpacklo_ps(two[0], two[1]);
            const __m256 b = _mm256_unpacklo_ps(two[2], two[3]);
            const __m256 c = _mm256_unpackhi_ps(two[0], two[1]);
            const __m256 d = _mm256_unpackhi_ps(two[2], two[3]);
            _mm256_store_ps(to.values[from], _mm256_shuffle_ps(a, b, 0x44));
            _mm256_store_ps(to.values[from + 1], _mm256_shuffle_ps(a, b, 0xEE));
            _mm256_store_ps(to.values[from + 2], _mm256_shuffle_ps(c, d, 0x44));
            _mm256_store_ps(to.values[from + 3], _mm256_shuffle_ps(c, d, 0xEE));
        }
    }

    static void widen(const Block & from, Activations & to) {
        for (int i = 0; i < SIZE; i += 8) {
            const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from.values + i));
            _mm256_store_ps(to.values + i, to_floats(halves, &from));
        }
    }

    // A block has sums of its own: many small numbers added to a large one would be lost.
    template <int N> static void add(const Weights & weights, const Activations * activations, __m256 (&results)[N]) {
        __m256 sums[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            sums[n] = _mm256_setzero_ps();
        }
#pragma GCC unroll 32
        for (int i = 0; i < SIZE; i++) {
            const __m256 weight = _mm256_load_ps(weights.values[i]);
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
                sums[n] = _mm256_fmadd_ps(weight, _mm256_broadcast_ss(activations[n * CHUNK].values + i), sums[n]);
            }
        }
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            results[n] = _mm256_add_ps(results[n], sums[n]);
        }
    }
};

} // namespace

void product(const F16 & of, int64_t first, int64_t last) {
    many<Format<F16Block>>(of, first, last);
}

void product(const Bf16 & of, int64_t first, int64_t last) {
    many<Format<Bf16Block>>(of, first, last);
}

} // namespace hutch

#endif

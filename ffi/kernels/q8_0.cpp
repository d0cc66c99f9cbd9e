// Products of Q8_0 weights, in two ways that give the same bits: sums of a block are exact, and blocks are added in
// order, whatever the number of columns, rows or threads.
#include "pairs.hpp"

#ifdef HUTCH_KERNELS_AVX2

namespace hutch {
namespace {

constexpr int64_t MANY = 12; // columns from which on widening pays

__m256 scales(const Rows<block_q8_0> & rows, int64_t block) {
    alignas(16) ggml_half halves[WIDTH];
    for (int i = 0; i < WIDTH; i++) {
        halves[i] = rows[i][block].d;
    }
    return to_floats(halves);
}

// The products of one block of 4 rows with one block of a column.
__m128i dots(const Rows<block_q8_0> & rows, int first, int64_t block, __m256i column) {
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

// 8 rows times N columns, of bytes as they lie; fetches `next`, as many rows, meanwhile: few columns are bound by memory.
template <int N> void few(const Q8_0 & of, const Rows<block_q8_0> & rows, int64_t row, int64_t column, const block_q8_0 * next) {
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
            const block_q8_0 & from  = of.activations[column + n][b];
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

void few(const Q8_0 & of, int64_t first, int64_t last) {
    for (int64_t row = first; row < last; row += WIDTH) {
        Rows<block_q8_0> rows;
        find_rows(of, row, rows);
        // Rows lie one behind the other but for views of a part; there is nothing behind the last.
        const bool         whole = of.weights.stride == of.blocks * static_cast<int64_t>(sizeof(block_q8_0));
        const block_q8_0 * next  = whole && row + 2 * WIDTH <= of.rows ? of.weights[row + WIDTH] : nullptr;
        in_tiles(of.columns, [&](auto count, int64_t column) { few<count>(of, rows, row, column, column == 0 ? next : nullptr); });
    }
}

struct Format : PairFormat<QK8_0 / 2, 0, 16> {
    using Product = Q8_0;
    using Weight  = block_q8_0;

    // Pairs are times 256: 32 products of 127 × 127 × 256 are less than 2^27.
    static void widen(const Rows<block_q8_0> & rows, int64_t block, Weights & to) {
        for (int half = 0; half < 2; half++) {
            pair_up([&](int r) { return rows[r][block].qs + 16 * half; },
                    [&](int i, __m256i pairs) { _mm256_store_si256(reinterpret_cast<__m256i *>(to.pairs[8 * half + i]), pairs); });
        }
        _mm256_store_ps(to.scale, _mm256_mul_ps(scales(rows, block), _mm256_set1_ps(1.0F / 256)));
    }

    static void widen(const block_q8_0 & from, Activations & to) {
        widen_bytes(from.qs, to.pairs);
        to.scale = _cvtsh_ss(from.d);
    }
};

} // namespace

void product(const Q8_0 & of, int64_t first, int64_t last) {
    if (of.columns < MANY) {
        few(of, first, last);
    } else {
        many<Format>(of, first, last);
    }
}

} // namespace hutch

#endif

// Products of Q5_K and Q6_K weights. Many columns are multiplied wide, with the scales of a super-block's parts in the
// weights, so that 256 are scaled at once; few columns are ggml's products of rows, with the next row fetched meanwhile.
#include "pairs.hpp"

#ifdef HUTCH_KERNELS_AVX2

#include "ggml-cpu.h"

namespace hutch {
namespace {

constexpr int     PARTS = QK_K / 16; // with a scale each
constexpr int64_t MANY  = 7;         // columns from which on widening pays

// 8 rows of a super-block on their way: values as bytes, and scales × 256.
struct Unpacked {
    alignas(32) int8_t values[WIDTH][QK_K];
    alignas(32) int16_t scales[WIDTH][PARTS];
};

__m256i load(const void * from) {
    return _mm256_loadu_si256(static_cast<const __m256i *>(from));
}

void store(void * to, __m256i what) {
    _mm256_store_si256(static_cast<__m256i *>(to), what);
}

// dwords [part][row] with a row's scale in both words.
void spread(const int16_t (&scales)[WIDTH][PARTS], int32_t (&to)[PARTS][WIDTH]) {
    for (int half = 0; half < 2; half++) {
        __m128i row[WIDTH];
        for (int r = 0; r < WIDTH; r++) {
            row[r] = _mm_load_si128(reinterpret_cast<const __m128i *>(scales[r] + 8 * half));
        }
        __m128i twos[WIDTH];
        for (int i = 0; i < 4; i++) {
            twos[2 * i]     = _mm_unpacklo_epi16(row[2 * i], row[2 * i + 1]);
            twos[2 * i + 1] = _mm_unpackhi_epi16(row[2 * i], row[2 * i + 1]);
        }
        for (int side = 0; side < 2; side++) {
            const __m128i a[2] = { _mm_unpacklo_epi32(twos[side], twos[side + 2]), _mm_unpackhi_epi32(twos[side], twos[side + 2]) };
            const __m128i b[2] = { _mm_unpacklo_epi32(twos[side + 4], twos[side + 6]), _mm_unpackhi_epi32(twos[side + 4], twos[side + 6]) };
            for (int i = 0; i < 2; i++) {
                const __m128i parts[2] = { _mm_unpacklo_epi64(a[i], b[i]), _mm_unpackhi_epi64(a[i], b[i]) };
                for (int j = 0; j < 2; j++) {
                    auto * dwords = reinterpret_cast<__m128i *>(to[8 * half + 4 * side + 2 * i + j]);
                    _mm_store_si128(dwords, _mm_unpacklo_epi16(parts[j], parts[j]));
                    _mm_store_si128(dwords + 1, _mm_unpackhi_epi16(parts[j], parts[j]));
                }
            }
        }
    }
}

// Values × 256 and scales × 256 give values × scales in the upper halves of their products.
template <typename Weights> void scale_pairs(const Unpacked & from, Weights & to) {
    alignas(32) int32_t scales[PARTS][WIDTH];
    spread(from.scales, scales);
    for (int part = 0; part < PARTS; part++) {
        const __m256i scale = load(scales[part]);
        pair_up([&](int r) { return from.values[r] + 16 * part; }, [&](int i, __m256i pairs) { store(to.pairs[8 * part + i], _mm256_mulhi_epi16(pairs, scale)); });
    }
}

template <typename Activations> void widen_column(const block_q8_K & from, Activations & to) {
    for (int i = 0; i < QK_K; i += 32) {
        widen_bytes(from.qs + i, to.pairs + i / 2);
    }
    to.scale = from.d;
}

// |value × scale| ≤ 32 × 128, and 256 products of it with 127 are less than 2^27.
struct SixBits : PairFormat<QK_K / 2, 0, 2> {
    using Product = Q6_K;
    using Weight  = block_q6_K;

    static constexpr ggml_type TYPE = GGML_TYPE_Q6_K;

    static void unpack(const block_q6_K & from, int8_t * to) {
        const __m256i low    = _mm256_set1_epi8(15);
        const __m256i high   = _mm256_set1_epi8(0x30);
        const __m256i offset = _mm256_set1_epi8(32);
        for (int half = 0; half < 2; half++) {
            const __m256i a = load(from.ql + 64 * half);
            const __m256i b = load(from.ql + 64 * half + 32);
            const __m256i h = load(from.qh + 32 * half);

            const __m256i values[4] = {
                _mm256_or_si256(_mm256_and_si256(a, low), _mm256_and_si256(_mm256_slli_epi16(h, 4), high)),
                _mm256_or_si256(_mm256_and_si256(b, low), _mm256_and_si256(_mm256_slli_epi16(h, 2), high)),
                _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(a, 4), low), _mm256_and_si256(h, high)),
                _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(b, 4), low), _mm256_and_si256(_mm256_srli_epi16(h, 2), high)),
            };
            for (int i = 0; i < 4; i++) {
                store(to + 128 * half + 32 * i, _mm256_sub_epi8(values[i], offset));
            }
        }
    }

    static void widen(const Rows<block_q6_K> & rows, int64_t block, Weights & to) {
        Unpacked              unpacked;
        alignas(16) ggml_half halves[WIDTH];
        for (int r = 0; r < WIDTH; r++) {
            const block_q6_K & from = rows[r][block];
            unpack(from, unpacked.values[r]);
            const __m128i scales = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from.scales));
            store(unpacked.scales[r], _mm256_slli_epi16(_mm256_cvtepi8_epi16(scales), 8));
            halves[r] = from.d;
        }
        scale_pairs(unpacked, to);
        _mm256_store_ps(to.scale, to_floats(halves));
    }

    static void widen(const block_q8_K & from, Activations & to) {
        widen_column(from, to);
    }
};

// |value × scale| ≤ 31 × 63, and what is least in each part of 32 is subtracted as a whole.
struct FiveBits : PairFormat<QK_K / 2, QK_K / 32 / 2, 2> {
    using Product = Q5_K;
    using Weight  = block_q5_K;

    static constexpr ggml_type TYPE = GGML_TYPE_Q5_K;

    static void unpack(const block_q5_K & from, int8_t * to) {
        const __m256i low  = _mm256_set1_epi8(15);
        const __m256i high = load(from.qh);
        for (int i = 0; i < 4; i++) {
            const __m256i both  = load(from.qs + 32 * i);
            const auto    fifth = [&](int bit) {
                const __m256i mask = _mm256_set1_epi8(static_cast<char>(1 << bit));
                return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(high, mask), mask), _mm256_set1_epi8(16));
            };
            store(to + 64 * i, _mm256_or_si256(_mm256_and_si256(both, low), fifth(2 * i)));
            store(to + 64 * i + 32, _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(both, 4), low), fifth(2 * i + 1)));
        }
    }

    // 8 scales of 6 bits, then 8 mins.
    static void unpack_scales(const uint8_t (&from)[K_SCALE_SIZE], int16_t (&scales)[PARTS], int16_t (&mins)[8]) {
        for (int i = 0; i < 8; i++) {
            const int scale      = i < 4 ? from[i] & 63 : (from[i + 4] & 15) | (from[i - 4] >> 6) << 4;
            const int min        = i < 4 ? from[i + 4] & 63 : from[i + 4] >> 4 | (from[i] >> 6) << 4;
            scales[2 * i]        = static_cast<int16_t>(scale << 8);
            scales[2 * i + 1]    = static_cast<int16_t>(scale << 8);
            mins[i]              = static_cast<int16_t>(min);
        }
    }

    static void widen(const Rows<block_q5_K> & rows, int64_t block, Weights & to) {
        Unpacked              unpacked;
        alignas(16) ggml_half halves[WIDTH];
        alignas(16) ggml_half min_halves[WIDTH];
        for (int r = 0; r < WIDTH; r++) {
            const block_q5_K & from = rows[r][block];
            int16_t            mins[8];
            unpack(from, unpacked.values[r]);
            unpack_scales(from.scales, unpacked.scales[r], mins);
            for (int i = 0; i < MIN_PAIRS; i++) {
                to.mins[i][2 * r]     = mins[2 * i];
                to.mins[i][2 * r + 1] = mins[2 * i + 1];
            }
            halves[r]     = from.d;
            min_halves[r] = from.dmin;
        }
        scale_pairs(unpacked, to);
        _mm256_store_ps(to.scale, to_floats(halves));
        _mm256_store_ps(to.min_scale, to_floats(min_halves));
    }

    static void widen(const block_q8_K & from, Activations & to) {
        widen_column(from, to);
        for (int i = 0; i < MIN_PAIRS; i++) {
            const auto sum = [&](int part) { return static_cast<uint16_t>(from.bsums[2 * part] + from.bsums[2 * part + 1]); };
            to.sums[i]     = static_cast<int32_t>(sum(2 * i) | static_cast<uint32_t>(sum(2 * i + 1)) << 16);
        }
    }
};

template <typename Format> void few(const typename Format::Product & of, int64_t first, int64_t last) {
    const ggml_vec_dot_t dot = ggml_get_type_traits_cpu(Format::TYPE)->vec_dot;
    for (int64_t row = first; row < last; row++) {
        if (row + 1 < of.rows) {
            fetch(of.weights[row + 1], of.weights[row + 1] + of.blocks);
        }
        for (int64_t c = 0; c < of.columns; c++) {
            dot(static_cast<int>(of.blocks * QK_K), of.results + c * of.results_stride + row, 0, of.weights[row], 0, of.activations[c], 0, 1);
        }
    }
}

template <typename Format> void few_or_many(const typename Format::Product & of, int64_t first, int64_t last) {
    if (of.columns < MANY) {
        few<Format>(of, first, last);
    } else {
        many<Format>(of, first, last);
    }
}

} // namespace

void product(const Q5_K & of, int64_t first, int64_t last) {
    few_or_many<FiveBits>(of, first, last);
}

void product(const Q6_K & of, int64_t first, int64_t last) {
    few_or_many<SixBits>(of, first, last);
}

} // namespace hutch

#endif

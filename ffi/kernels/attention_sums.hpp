// The sums of attention: products of queries with the keys of cells, and weighted sums of their values.
#pragma once

#include "matrices.hpp"

#ifdef HUTCH_KERNELS_AVX2

namespace hutch {

constexpr int CELLS = 64; // of a piece of the context
constexpr int AHEAD = 16; // cells that memory is asked for beforehand

// Keys or values of cells, one after the other.
struct Floats {
    const char * first;
    int64_t      stride;

    __m256 load(int64_t cell, int64_t d) const {
        return _mm256_loadu_ps(reinterpret_cast<const float *>(first + cell * stride) + d);
    }

    void fetch(int64_t, int64_t) const {}
};

// As they lie in the context, widened where they are used.
struct Halves {
    const char * first;
    int64_t      stride;

    __m256 load(int64_t cell, int64_t d) const {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(first + cell * stride + 2 * d)));
    }

    // Asks memory for what comes later: the piece of a cell is too short for a CPU to foresee the next one's.
    void fetch(int64_t cell, int64_t d) const {
        _mm_prefetch(first + (cell + AHEAD) * stride + 2 * d, _MM_HINT_T0);
    }
};

inline __m128 sums_of(__m256 a, __m256 b, __m256 c, __m256 d) {
    const __m256 all = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    return _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
}

// Sums that N rows keep in registers are N times so many.
constexpr int sums_each(int rows) {
    return rows == 4 ? 2 : 4;
}

// Products of N queries with the keys of some cells.
template <int N, typename Keys> void score(const float * const * queries, const Keys & keys, int64_t size, int64_t cell, float * to) {
    constexpr int C = sums_each(N);
    __m256        sums[N][C];
    for (auto & row : sums) {
        for (auto & sum : row) {
            sum = _mm256_setzero_ps();
        }
    }
    for (int64_t d = 0; d < size; d += 8) {
        __m256 query[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            query[n] = _mm256_loadu_ps(queries[n] + d);
        }
#pragma GCC unroll 4
        for (int i = 0; i < C; i++) {
            if (d % 32 == 0) {
                keys.fetch(cell + i, d);
            }
            const __m256 key = keys.load(cell + i, d);
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
                sums[n][i] = _mm256_fmadd_ps(query[n], key, sums[n][i]);
            }
        }
    }
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
        const __m128 scores = sums_of(sums[n][0], sums[n][1], sums[n][C - 2], sums[n][C - 1]);
        std::memcpy(to + n * CELLS + cell, &scores, C * sizeof(float));
    }
}

// Which of some cells weigh anything for N rows. What none of them sees may be no number, and shall not get into a sum.
template <int N> uint64_t seen(const float * weights, int64_t cells) {
    static_assert(CELLS == 64, "a bit for each cell");
    uint64_t bits = 0;
    for (int64_t cell = 0; cell < cells; cell += 8) {
        int some = 0;
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            const __m256 here = _mm256_loadu_ps(weights + n * CELLS + cell);
            some |= _mm256_movemask_ps(_mm256_cmp_ps(here, _mm256_setzero_ps(), _CMP_NEQ_UQ));
        }
        bits |= static_cast<uint64_t>(some) << cell;
    }
    return cells == CELLS ? bits : bits & ((uint64_t(1) << cells) - 1);
}

// Adds weighted values of cells to the sums of N rows, W registers wide from d on.
template <int N, int W, typename Values> void add(const float * weights, const Values & values, int64_t size, uint64_t cells, int64_t d, float * to) {
    __m256 sums[N][W];
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
#pragma GCC unroll 4
        for (int w = 0; w < W; w++) {
            sums[n][w] = _mm256_loadu_ps(to + n * size + d + 8 * w);
        }
    }
    for (; cells != 0; cells &= cells - 1) {
        const int64_t cell = __builtin_ctzll(cells);
        __m256        weight[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            weight[n] = _mm256_broadcast_ss(weights + n * CELLS + cell);
        }
        values.fetch(cell, d);
#pragma GCC unroll 4
        for (int w = 0; w < W; w++) {
            const __m256 value = values.load(cell, d + 8 * w);
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
                sums[n][w] = _mm256_fmadd_ps(weight[n], value, sums[n][w]);
            }
        }
    }
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
#pragma GCC unroll 4
        for (int w = 0; w < W; w++) {
            _mm256_storeu_ps(to + n * size + d + 8 * w, sums[n][w]);
        }
    }
}

// Calls `with` for rows in tiles; its first argument says how many they are, as a type. Three at a time is fastest.
template <typename With> void in_rows(int64_t rows, const With & with) {
    int64_t row = 0;
    for (; rows - row >= 4 && (rows - row) % 3 != 0; row += 4) {
        with(std::integral_constant<int, 4>(), row);
    }
    for (; rows - row >= 3; row += 3) {
        with(std::integral_constant<int, 3>(), row);
    }
    if (rows - row == 2) {
        with(std::integral_constant<int, 2>(), row);
    } else if (rows - row == 1) {
        with(std::integral_constant<int, 1>(), row);
    }
}

template <typename Keys> void score_all(const float * const * queries, int64_t rows, const Keys & keys, int64_t size, int64_t cells, float * to) {
    in_rows(rows, [&](auto n, int64_t r) {
        for (int64_t cell = 0; cell < cells; cell += sums_each(n)) {
            score<n>(queries + r, keys, size, cell, to + r * CELLS);
        }
    });
}

template <typename Values> void add_all(const float * weights, int64_t rows, const Values & values, int64_t size, int64_t cells, float * to) {
    in_rows(rows, [&](auto n, int64_t r) {
        constexpr int  W    = sums_each(n);
        const uint64_t some = seen<n>(weights + r * CELLS, cells);
        int64_t        d    = 0;
        for (; d + 8 * W <= size; d += 8 * W) {
            add<n, W>(weights + r * CELLS, values, size, some, d, to + r * size);
        }
        for (; d < size; d += 8) {
            add<n, 1>(weights + r * CELLS, values, size, some, d, to + r * size);
        }
    });
}

} // namespace hutch

#endif

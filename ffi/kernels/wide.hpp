// Products of many columns: weights and activations are widened once for all columns, and the sums of 8 rows of
// weights lie side by side in a register. A format says what blocks are, how they are widened and multiplied.
#pragma once

#include "matrices.hpp"

#ifdef HUTCH_KERNELS_AVX2

namespace hutch {

constexpr int COLUMNS = 64; // at a time

template <typename Format> struct Scratch {
    typename Format::Weights     weights[Format::CHUNK];
    typename Format::Activations activations[COLUMNS][Format::CHUNK];
    alignas(32) float results[COLUMNS][WIDTH];
};

// Adds `blocks` widened blocks of 8 rows times N columns to the results of those columns.
template <typename Format, int N> void multiply(Scratch<Format> & scratch, int column, int64_t blocks) {
    __m256 results[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
        results[n] = _mm256_load_ps(scratch.results[column + n]);
    }
    for (int64_t b = 0; b < blocks; b++) {
        // Of the next columns' blocks each is a chunk further on.
        Format::template add<N>(scratch.weights[b], &scratch.activations[column][b], results);
    }
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
        _mm256_store_ps(scratch.results[column + n], results[n]);
    }
}

// Rows [first, last) times `columns` columns from `column` on.
template <typename Format> void many(const typename Format::Product & of, int64_t first, int64_t last, int64_t column, int columns) {
    static thread_local Scratch<Format> scratch;
    for (int64_t at = 0; at < of.blocks; at += Format::CHUNK) {
        const int64_t blocks = std::min<int64_t>(Format::CHUNK, of.blocks - at);
        for (int c = 0; c < columns; c++) {
            for (int64_t b = 0; b < blocks; b++) {
                Format::widen(of.activations[column + c][at + b], scratch.activations[c][b]);
            }
        }
        for (int64_t row = first; row < last; row += WIDTH) {
            Rows<typename Format::Weight> rows;
            find_rows(of, row, rows);
            for (int64_t b = 0; b < blocks; b++) {
                Format::widen(rows, at + b, scratch.weights[b]);
            }
            for (int64_t r = row + WIDTH; r < std::min(row + 2 * WIDTH, of.rows); r++) {
                fetch(of.weights[r] + at, of.weights[r] + at + blocks);
            }
            float * results = of.results + column * of.results_stride + row;
            for (int c = 0; c < columns; c++) {
                if (at == 0) {
                    _mm256_store_ps(scratch.results[c], _mm256_setzero_ps());
                } else {
                    copy(scratch.results[c], results + c * of.results_stride, of.rows - row);
                }
            }
            in_tiles(columns, [&](auto count, int64_t c) { multiply<Format, count>(scratch, static_cast<int>(c), blocks); });
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

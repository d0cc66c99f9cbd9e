// hutch's own products of matrices, as part of ggml's CPU backends for x86.
//
// ggml asks one function for a product before it uses its general one, llamafile_sgemm, in every thread at once.
// This one stands in its place: it makes the products that ggml makes badly where a CPU has AVX2 and nothing newer,
// and passes on all others to ggml's, which is compiled as it is under another name (cmake/hutch-kernels.cmake).
#include "sgemm.h"

#include "matrices.hpp"
#include "wanted.hpp"

extern "C" bool hutch_ggml_sgemm(const ggml_compute_params *, int64_t, int64_t, int64_t, const void *, int64_t, const void *, int64_t,
                                 void *, int64_t, int, int, int);

#ifdef HUTCH_KERNELS_AVX2

namespace {

constexpr int64_t MAX_SHARE   = 128; // rows that a thread takes at a time
constexpr int64_t HALVES      = sizeof(hutch::F16Block) / sizeof(uint16_t);
constexpr int64_t MANY_HALVES = 16; // columns from which on widening them pays

// The rows in shares, which threads take as they get on: one of them may have to wait for its CPU. ggml has set
// its counter when it calls for the matrix with which its work buffer begins; of further ones each thread takes
// its own shares.
template <typename Product> bool divide(const ggml_compute_params & params, const Product & of) {
    const int64_t even = of.rows / (4 * params.nth) / hutch::WIDTH * hutch::WIDTH;
    const int64_t rows = std::clamp<int64_t>(even, hutch::WIDTH, MAX_SHARE);
    const bool    any  = params.threadpool != nullptr && params.wdata == of.activations.first;
    for (int64_t share = params.ith; share * rows < of.rows; share = any ? ggml_threadpool_chunk_add(params.threadpool, 1) : share + params.nth) {
        hutch::product(of, share * rows, std::min(of.rows, (share + 1) * rows));
    }
    return true;
}

} // namespace

#endif

// `m` rows of `k` blocks times `n` columns.
bool llamafile_sgemm(const ggml_compute_params * params, int64_t m, int64_t n, int64_t k, const void * a, int64_t lda, const void * b,
                     int64_t ldb, void * c, int64_t ldc, int a_type, int b_type, int c_type) {
#ifdef HUTCH_KERNELS_AVX2
    // `blocks` of a row, `size` bytes of what strides are counted in.
    const auto made = [&](auto product, int64_t blocks, int64_t a_size, int64_t b_size) {
        product = { { a, lda * a_size }, { b, ldb * b_size }, static_cast<float *>(c), ldc, m, n, blocks };
        return divide(*params, product);
    };
    const auto are = [&](int weights, int activations) { return a_type == weights && b_type == activations; };
    if (c_type == GGML_TYPE_F32 && hutch::wanted()) {
        if (are(GGML_TYPE_Q8_0, GGML_TYPE_Q8_0)) {
            return made(hutch::Q8_0{}, k, sizeof(block_q8_0), sizeof(block_q8_0));
        }
        if (are(GGML_TYPE_Q5_K, GGML_TYPE_Q8_K)) {
            return made(hutch::Q5_K{}, k, sizeof(block_q5_K), sizeof(block_q8_K));
        }
        if (are(GGML_TYPE_Q6_K, GGML_TYPE_Q8_K)) {
            return made(hutch::Q6_K{}, k, sizeof(block_q6_K), sizeof(block_q8_K));
        }
        constexpr int64_t size = sizeof(uint16_t);
        if (n >= MANY_HALVES && k % HALVES == 0) {
            if (are(GGML_TYPE_F16, GGML_TYPE_F16)) {
                return made(hutch::F16{}, k / HALVES, size, size);
            }
            if (are(GGML_TYPE_BF16, GGML_TYPE_BF16)) {
                return made(hutch::Bf16{}, k / HALVES, size, size);
            }
        }
    }
#endif
    return hutch_ggml_sgemm(params, m, n, k, a, lda, b, ldb, c, ldc, a_type, b_type, c_type);
}

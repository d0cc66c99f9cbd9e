// Memory that is taken when it is used. libllama fills a new cache with zeros, which takes all of its
// memory at once: a second or more for the cells of 32 sequences, although most of them never hold a token.
// Pages that the system gives are zero already, so buffers of the CPU are cleared by giving theirs back.
#include "internal.hpp"

#include "../ggml/src/ggml-backend-impl.h" // how a buffer is cleared; internal header, see docs/building.md
#include "ggml-backend.h"

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#endif

namespace hutch {

#ifdef __linux__

namespace {

// Smaller buffers may as well be written.
constexpr size_t least_bytes = size_t{ 1 } << 20;

decltype(ggml_backend_buffer_type_i::alloc_buffer) allocate_at_once = nullptr;
decltype(ggml_backend_buffer_i::clear)             write_all        = nullptr;

void clear_late(ggml_backend_buffer_t buffer, uint8_t value) {
    const auto   page  = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    auto * const begin = static_cast<uint8_t *>(ggml_backend_buffer_get_base(buffer));
    uint8_t * const end   = begin + ggml_backend_buffer_get_size(buffer);
    uint8_t * const first = begin + (page - reinterpret_cast<uintptr_t>(begin) % page) % page;
    uint8_t * const last  = end - reinterpret_cast<uintptr_t>(end) % page;
    // The allocator's memory is private and no file's, so that what is given back comes again as zeros.
    if (value != 0 || static_cast<size_t>(end - begin) < least_bytes || madvise(first, static_cast<size_t>(last - first), MADV_DONTNEED) != 0) {
        write_all(buffer, value);
        return;
    }
    std::memset(begin, 0, static_cast<size_t>(first - begin));
    std::memset(last, 0, static_cast<size_t>(end - last));
}

ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t type, size_t size) {
    ggml_backend_buffer_t buffer = allocate_at_once(type, size);
    if (buffer != nullptr && buffer->iface.clear != nullptr) {
        write_all           = buffer->iface.clear;
        buffer->iface.clear = clear_late;
    }
    return buffer;
}

} // namespace

void take_memory_late() {
    ggml_backend_buffer_type_t type = ggml_backend_cpu_buffer_type();
    if (allocate_at_once == nullptr) {
        allocate_at_once         = type->iface.alloc_buffer;
        type->iface.alloc_buffer = allocate;
    }
}

#else

void take_memory_late() {}

#endif

} // namespace hutch

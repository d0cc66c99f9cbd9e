// Process-wide parts of the shim: last error, log ring, backends, the parent's death.
#include "internal.hpp"

#include "common.h"
#include "ggml-backend.h"
#include "log.h"
#include "mtmd-helper.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#ifdef __linux__
#include <csignal>
#include <sys/prctl.h>
#include <unistd.h>
#endif

namespace {

constexpr size_t log_limit = 64 * 1024;

std::string last_error;
std::mutex  log_mutex; // guards log_ring: ggml logs from its own threads
std::string log_ring;
bool        log_goes_on = false; // the last line was kept; also guarded
bool        log_is_kept = true;  // also guarded

// Whether a driver's error is told, after which ggml aborts. Who aborts cannot be asked for its log, so the parent
// reads this on stderr (src/last-words.ts); of other errors, most have passed by when a process ends.
bool ends_process(const char * text) {
    return std::strstr(text, "CUDA error: ") != nullptr || std::strstr(text, "ROCm error: ") != nullptr;
}

void log_line(ggml_log_level level, const char * text, void *) {
    if (level == GGML_LOG_LEVEL_DEBUG || text == nullptr) {
        return;
    }
    hutch::note_quantize_log(text);
    std::lock_guard<std::mutex> lock(log_mutex);
    if (!log_is_kept) {
        return;
    }
    log_goes_on = level == GGML_LOG_LEVEL_ERROR || (level == GGML_LOG_LEVEL_CONT && log_goes_on);
    if (!log_goes_on) {
        return;
    }
    log_ring += text;
    if (ends_process(text)) {
        std::fputs(text, stderr);
    }
    if (log_ring.size() > log_limit) {
        log_ring.erase(0, log_ring.size() - log_limit);
    }
}

void keep_log(bool kept) {
    std::lock_guard<std::mutex> lock(log_mutex);
    log_is_kept = kept;
}

// The kernels in the CPU backend ask this of their first product; HUTCH_KERNELS=0 leaves all to ggml.
void use_kernels() {
#ifdef _WIN32
    if (std::getenv("HUTCH_KERNELS") == nullptr) {
        _putenv_s("HUTCH_KERNELS", "1");
    }
#else
    setenv("HUTCH_KERNELS", "1", 0);
#endif
}

} // namespace

namespace hutch {

int32_t fail(int32_t status, const std::string & text) {
    last_error = text;
    return status;
}

int32_t copy_text(const std::string & text, char * buffer, int32_t size) {
    const size_t bytes = std::min(text.size(), static_cast<size_t>(std::max(size, 0)));
    if (bytes > 0) {
        std::memcpy(buffer, text.data(), bytes);
    }
    return static_cast<int32_t>(bytes);
}

} // namespace hutch

int32_t hutch_abi_version(void) {
    return HUTCH_ABI_VERSION;
}

int32_t hutch_last_error(char * buffer, int32_t size) {
    if (size > 0) {
        buffer[hutch::copy_text(last_error, buffer, size - 1)] = 0;
    }
    return static_cast<int32_t>(last_error.size());
}

int32_t hutch_drain_log(char * buffer, int32_t size) {
    std::lock_guard<std::mutex> lock(log_mutex);
    const int32_t bytes = hutch::copy_text(log_ring, buffer, size);
    log_ring.erase(0, static_cast<size_t>(bytes));
    return bytes;
}

int32_t hutch_die_with_parent(int32_t parent) {
#ifdef __linux__
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        return hutch::fail(HUTCH_STATUS_ERROR, "ask to be killed with the parent: prctl failed");
    }
    // The parent may have ended before the request: then no signal comes any more.
    if (getppid() != parent) {
        return hutch::fail(HUTCH_STATUS_ERROR, "the parent process has ended");
    }
#else
    (void) parent;
#endif
    return HUTCH_STATUS_OK;
}

int32_t hutch_init(const char * folder, bool gpus) {
    return hutch::guarded([&] {
        if (!gpus) {
            hutch::hide_gpus();
        }
        llama_log_set(log_line, nullptr);
        mtmd_helper_log_set(log_line, nullptr);
        common_log_pause(common_log_main()); // llama-common writes to stderr by itself
        use_kernels();
        // That a backend sees no GPU is no error where it was hidden.
        keep_log(gpus);
        ggml_backend_load_all_from_path(folder);
        keep_log(true);
        if (ggml_backend_dev_count() == 0) {
            return hutch::fail(HUTCH_STATUS_ERROR, std::string("no compute backend could be loaded from ") + folder);
        }
        hutch::take_memory_late();
        llama_backend_init();
        return static_cast<int32_t>(HUTCH_STATUS_OK);
    });
}

int32_t hutch_physical_cores(void) {
    return std::max(1, common_cpu_get_num_physical_cores());
}

int64_t hutch_echo(int64_t value) {
    return value;
}

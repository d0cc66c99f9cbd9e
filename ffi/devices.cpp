// The GPUs that ggml's backends see: whether a process has them at all, how much of a model goes there, and
// how they are called.
#include "internal.hpp"

#include "../src/llama-ext.h" // devices of a model; staging header, see docs/building.md
#include "fit.h"
#include "ggml-backend.h"

#include <algorithm>
#include <cstdlib>

namespace {

// Left free on every GPU when a model is loaded: for what backends take while they compute, and for a
// larger context later.
constexpr size_t spare_bytes = size_t{ 1 } << 30;
// What a larger context must leave of that.
constexpr size_t least_bytes = size_t{ 1 } << 28;

bool is_gpu(ggml_backend_dev_t device) {
    const auto type = ggml_backend_dev_type(device);
    return type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU;
}

std::string name_of(ggml_backend_dev_t device) {
    return std::string(ggml_backend_dev_name(device)) + " " + ggml_backend_dev_description(device);
}

std::vector<ggml_backend_dev_t> gpus_of(const llama_model * model) {
    std::vector<ggml_backend_dev_t> found;
    for (int32_t i = 0; i < llama_model_n_devices(model); i++) {
        if (is_gpu(llama_model_get_device(model, i))) {
            found.push_back(llama_model_get_device(model, i));
        }
    }
    return found;
}

} // namespace

namespace hutch {

void hide_gpus() {
    // Their backends are loaded all the same, but one that sees no device takes no memory of it.
    for (const char * name : { "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES" }) {
#ifdef _WIN32
        _putenv_s(name, "-1");
#else
        setenv(name, "-1", 1);
#endif
    }
}

bool has_gpu() {
    for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
        if (is_gpu(ggml_backend_dev_get(i))) {
            return true;
        }
    }
    return false;
}

bool on_gpu(const llama_model * model) {
    return !gpus_of(model).empty();
}

bool gpu_shares_memory(const llama_model * model) {
    const auto found = gpus_of(model);
#ifdef __APPLE__
    return !found.empty(); // Metal does not tell; all but old ones do, and counting too much is safe
#else
    return std::any_of(found.begin(), found.end(), [](ggml_backend_dev_t device) {
        return ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_IGPU;
    });
#endif
}

bool gpus_are_full(const llama_model * model) {
    const auto found = gpus_of(model);
    return std::any_of(found.begin(), found.end(), [](ggml_backend_dev_t device) {
        size_t free  = 0;
        size_t total = 0;
        ggml_backend_dev_memory(device, &free, &total);
        return free < least_bytes;
    });
}

bool device_plan::keeps_off() {
    if (params.n_gpu_layers != 0) {
        return false;
    }
    params.devices = nobody;
    return true;
}

void device_plan::fit(const char * path, llama_context_params context) {
    if (keeps_off() || params.n_gpu_layers > 0 || params.vocab_only || !has_gpu()) {
        return;
    }
    split.resize(llama_max_devices(), 0);
    overrides.resize(llama_max_tensor_buft_overrides(), { nullptr, nullptr });
    std::vector<size_t> margins(llama_max_devices(), spare_bytes);
    const llama_model_params wanted = params;
    if (common_fit_params(path, &params, &context, split.data(), overrides.data(), margins.data(), UINT32_MAX, nullptr, GGML_LOG_LEVEL_ERROR) != COMMON_PARAMS_FIT_STATUS_SUCCESS) {
        // Loading it as it was wanted says what is wrong.
        params = wanted;
    }
}

} // namespace hutch

int32_t hutch_has_gpu(void) {
    return hutch::has_gpu() ? 1 : 0;
}

int32_t hutch_backend_load(const char * path) {
    return hutch::guarded([&] {
        return ggml_backend_load(path) != nullptr ? static_cast<int32_t>(HUTCH_STATUS_OK) : hutch::fail(HUTCH_STATUS_ERROR, std::string("no backend can be loaded from ") + path);
    });
}

int32_t hutch_model_gpus(const hutch_model * model, char * buffer, int32_t size) {
    return hutch::guarded([&] {
        std::string text;
        for (const ggml_backend_dev_t device : gpus_of(model->model)) {
            text += (text.empty() ? "" : "\n") + name_of(device);
        }
        return hutch::copy_text(text, buffer, size);
    });
}

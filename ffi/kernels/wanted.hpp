// Whether this process wants hutch's kernels. Programs that want ggml alone, as bench/'s peers, get it: nothing is
// made here without HUTCH_KERNELS=1, which the shim sets.
#pragma once

#include <cstdlib>
#include <cstring>

namespace hutch {

inline bool wanted() {
    static const bool answer = [] {
        const char * text = std::getenv("HUTCH_KERNELS");
        return text != nullptr && std::strcmp(text, "1") == 0;
    }();
    return answer;
}

} // namespace hutch

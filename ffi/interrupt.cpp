// Interrupting a step: a runner hears its parent between steps only, and a step far into a long prompt
// takes longer than cancels and new work should wait. So the parent sends a signal after its message;
// a step that would go on for longer than a grace time ends then, and is made again later.
#include "internal.hpp"

#include <algorithm>
#include <chrono>

#ifndef _WIN32
#include <csignal>
#endif

namespace {

int64_t grace_ns = 0;
bool    listening = false;

// When the signal came, ns of the steady clock; 0 = it has not. Written by the handler.
std::atomic<int64_t> asked{ 0 };
static_assert(std::atomic<int64_t>::is_always_lock_free, "a signal handler may not wait");

} // namespace

namespace hutch {

int64_t steady_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool interrupted(void * data) {
    const int64_t since = static_cast<const hutch_model *>(data)->interruptible_since;
    const int64_t at    = since == 0 ? 0 : asked.load(std::memory_order_relaxed);
    return at != 0 && steady_ns() - std::max(at, since) >= grace_ns;
}

bool interrupts() {
    return listening;
}

void forget_interrupts() {
    asked.store(0, std::memory_order_relaxed);
}

} // namespace hutch

int32_t hutch_interrupt_init(int32_t grace_ms) {
#ifdef _WIN32
    (void) grace_ms;
    return hutch::fail(HUTCH_STATUS_INVALID, "this system has no signals");
#else
    grace_ns = static_cast<int64_t>(grace_ms) * 1000000;
    struct sigaction action = {};
    action.sa_handler = [](int) {
        int64_t none = 0;
        asked.compare_exchange_strong(none, hutch::steady_ns()); // the first one counts
    };
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGUSR2, &action, nullptr) != 0) {
        return hutch::fail(HUTCH_STATUS_INVALID, "listen to SIGUSR2: sigaction failed");
    }
    listening = true;
    return HUTCH_STATUS_OK;
#endif
}

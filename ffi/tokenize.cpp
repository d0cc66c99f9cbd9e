// Long texts cut into tokens on threads beside the steps; llama_tokenize keeps no state.
#include "internal.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace hutch {

struct token_job {
    std::string              texts; // one behind the other
    std::vector<int32_t>     lengths;
    std::vector<uint8_t>     parse_special;
    bool                     add_special = false;
    std::vector<int32_t>     counts;
    std::vector<llama_token> tokens;
    std::string              failure;
    std::atomic<bool>        dropped{ false }; // nobody wants the tokens any more
    std::atomic<bool>        done{ false };    // the thread has written its last; the other side may read
};

namespace {

void cut(const llama_vocab * vocab, token_job & job) {
    const char * text = job.texts.data();
    for (size_t i = 0; i < job.lengths.size() && !job.dropped; i++) {
        const int32_t length = job.lengths[i];
        // Never more tokens than bytes, but for what is put in front and behind. Not cleared: pages that
        // are not written take no memory.
        const int32_t                        room = length + 8;
        const std::unique_ptr<llama_token[]> tokens(new llama_token[static_cast<size_t>(room)]);
        const int32_t count = llama_tokenize(vocab, text, length, tokens.get(), room, job.add_special, job.parse_special[i] != 0);
        if (count < 0) {
            throw std::runtime_error("a text of " + std::to_string(length) + " bytes has more tokens than bytes");
        }
        job.tokens.insert(job.tokens.end(), tokens.get(), tokens.get() + count);
        job.counts.push_back(count);
        text += length;
    }
}

// Nothing is thrown out of a thread: the failure's text is kept for whoever asks.
void work_on(const llama_vocab * vocab, token_job & job) noexcept {
    try {
        cut(vocab, job);
    } catch (const std::exception & error) {
        try {
            job.failure = *error.what() == 0 ? "unknown failure" : error.what();
        } catch (...) {
            job.counts.clear(); // says the same without a text
        }
    } catch (...) {
        job.counts.clear();
    }
    job.done = true;
}

} // namespace

// Threads that wait for jobs, made as they are needed: they live as long as the model.
class token_threads {
  public:
    explicit token_threads(const llama_vocab * vocab) : vocab(vocab) {}

    ~token_threads() {
        {
            const std::lock_guard<std::mutex> lock(mutex);
            closing = true;
            waiting.clear();
            for (const auto & job : running) {
                job->dropped = true;
            }
        }
        wanted.notify_all();
        for (std::thread & thread : threads) {
            thread.join();
        }
    }

    void start(std::shared_ptr<token_job> job) {
        const std::lock_guard<std::mutex> lock(mutex);
        // A core is left to the steps where there are two.
        const size_t most = std::max<size_t>(2, std::thread::hardware_concurrency()) - 1;
        if (waiting.size() + running.size() >= threads.size() && threads.size() < most) {
            running.reserve(most); // a thread must not fail at it
            threads.emplace_back([this] { serve(); });
        }
        waiting.push_back(std::move(job));
        wanted.notify_one();
    }

  private:
    void serve() {
        std::unique_lock<std::mutex> lock(mutex);
        for (;;) {
            wanted.wait(lock, [this] { return closing || !waiting.empty(); });
            if (closing) {
                return;
            }
            const std::shared_ptr<token_job> job = std::move(waiting.front());
            waiting.pop_front();
            running.push_back(job);
            lock.unlock();
            work_on(vocab, *job);
            lock.lock();
            running.erase(std::find(running.begin(), running.end(), job));
        }
    }

    const llama_vocab *                     vocab;
    std::mutex                              mutex; // guards all that follows but `threads`, which one thread uses
    std::condition_variable                 wanted;
    std::deque<std::shared_ptr<token_job>>  waiting;
    std::vector<std::shared_ptr<token_job>> running;
    bool                                    closing = false;
    std::vector<std::thread>                threads;
};

void token_threads_deleter::operator()(token_threads * threads) const {
    delete threads;
}

} // namespace hutch

struct hutch_tokenizing {
    std::shared_ptr<hutch::token_job> job; // a thread that is at work holds it too
};

hutch_tokenizing * hutch_tokenize_start(hutch_model * model, const char * texts, int32_t count, const int32_t * lengths, const uint8_t * parse_special, bool add_special) {
    return hutch::guarded([&] {
        auto   job   = std::make_shared<hutch::token_job>();
        size_t bytes = 0;
        for (int32_t i = 0; i < count; i++) {
            if (lengths[i] < 0 || lengths[i] > INT32_MAX - 8) {
                throw std::runtime_error("a text is too long to tokenise");
            }
            bytes += static_cast<size_t>(lengths[i]);
        }
        job->texts.assign(texts, bytes);
        job->lengths.assign(lengths, lengths + count);
        job->parse_special.assign(parse_special, parse_special + count);
        job->add_special = add_special;
        if (model->token_threads == nullptr) {
            model->token_threads.reset(new hutch::token_threads(model->vocab));
        }
        auto made = std::make_unique<hutch_tokenizing>(hutch_tokenizing{ job });
        model->token_threads->start(std::move(job));
        return made.release();
    }, static_cast<hutch_tokenizing *>(nullptr));
}

int32_t hutch_tokenize_done(const hutch_tokenizing * tokenizing) {
    return hutch::guarded([&] {
        const hutch::token_job & job = *tokenizing->job;
        if (!job.done) {
            return 0;
        }
        if (job.counts.size() == job.lengths.size()) {
            return 1;
        }
        return hutch::fail(HUTCH_STATUS_ERROR, job.failure.empty() ? "a thread that tokenises failed" : job.failure);
    });
}

int32_t hutch_tokenize_counts(const hutch_tokenizing * tokenizing, int32_t * counts) {
    const hutch::token_job & job = *tokenizing->job;
    if (!job.done) {
        return hutch::fail(HUTCH_STATUS_INVALID, "the text is not tokenised yet");
    }
    std::copy(job.counts.begin(), job.counts.end(), counts);
    return HUTCH_STATUS_OK;
}

int32_t hutch_tokenize_take(const hutch_tokenizing * tokenizing, int32_t * tokens, int32_t capacity) {
    const hutch::token_job & job = *tokenizing->job;
    if (!job.done || static_cast<size_t>(std::max(capacity, 0)) < job.tokens.size()) {
        return hutch::fail(HUTCH_STATUS_INVALID, "the tokens are not there or need more room");
    }
    std::copy(job.tokens.begin(), job.tokens.end(), tokens);
    return HUTCH_STATUS_OK;
}

void hutch_tokenize_free(hutch_tokenizing * tokenizing) {
    if (tokenizing != nullptr) {
        tokenizing->job->dropped = true;
        delete tokenizing;
    }
}

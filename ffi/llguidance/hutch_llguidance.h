/*
 * C interface of the constraint engine (Rust, src/lib.rs): which tokens may come next, and whether a
 * finished text fits its schema. Texts are UTF-8 with a length; buffers belong to the caller, who gets
 * whole lengths back and may have asked for less. NULL and negative results are failures, explained by
 * hutch_llg_last_error on the same thread. Compiling happens on a thread of its own; all else belongs
 * to one thread.
 */
#ifndef HUTCH_LLGUIDANCE_H
#define HUTCH_LLGUIDANCE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hutch_llg_vocabulary hutch_llg_vocabulary;
typedef struct hutch_llg_job hutch_llg_job;
typedef struct hutch_llg_compiled hutch_llg_compiled;
typedef struct hutch_llg_matcher hutch_llg_matcher;

/* Writes at most `capacity` tokens of a text, returns how many there are. Runs on any thread. */
typedef size_t (*hutch_llg_tokenize)(const void *user, const uint8_t *text, size_t length, uint32_t *tokens, size_t capacity);

/* Copies the text of this thread's last failure; returns its whole length. */
size_t hutch_llg_last_error(char *buffer, size_t size);

/* A vocabulary of `count` tokens with their bytes one after another; tokens of length 0 never come.
 * What takes time is done by the first compilation. `ends`: tokens that end a text, at least one. `tokenize` may be NULL: then nothing is forced; else it
 * and `user` must stay good until everything made from the vocabulary is freed. */
hutch_llg_vocabulary *hutch_llg_vocabulary_init(const uint8_t *pieces, const uint32_t *lengths, size_t count, const uint32_t *ends, size_t end_count, hutch_llg_tokenize tokenize, const void *user);
void hutch_llg_vocabulary_free(hutch_llg_vocabulary *vocabulary);

/* Starts compiling; kinds: schema, answer (a schema for writing: objects get only the members that it
 * names), lark, regex, choice (JSON list of texts). */
hutch_llg_job *hutch_llg_compile_start(const hutch_llg_vocabulary *vocabulary, const uint8_t *kind, size_t kind_length, const uint8_t *source, size_t length);
/* 1: done, *result is the caller's. 0: not yet. Negative: the compiler panicked. */
int32_t hutch_llg_compile_take(hutch_llg_job *job, hutch_llg_compiled **result);
/* Also before it is done: the result is then thrown away when it comes. */
void hutch_llg_compile_free(hutch_llg_job *job);

/* JSON: {"level": enforced|validated|refused, "reason"?: {"pointer"?, "keyword", "reason"}}. */
size_t hutch_llg_describe(const hutch_llg_compiled *compiled, char *buffer, size_t size);
/* 0: the text fits the schema, or there is none. Positive: length of a reason (as above, pointer into
 * the text). */
ptrdiff_t hutch_llg_validate(const hutch_llg_compiled *compiled, const uint8_t *source, size_t length, char *buffer, size_t size);
/* 1 when the grammar takes the whole text, token by token and at the end; 0 when not. Negative: failed. */
int32_t hutch_llg_accepts(const hutch_llg_vocabulary *vocabulary, const hutch_llg_compiled *compiled, const uint8_t *source, size_t length);
void hutch_llg_compiled_free(hutch_llg_compiled *compiled);

/* A matcher at the beginning of a text. NULL when the constraint was refused. */
hutch_llg_matcher *hutch_llg_matcher_init(const hutch_llg_compiled *compiled);
void hutch_llg_matcher_free(hutch_llg_matcher *matcher);

/* Sets a bit for each token that may come next (token t: bit t % 32 of word t / 32), clears the others;
 * returns how many may. Negative: the matcher is of no use any more, or no token fits. */
int32_t hutch_llg_mask(hutch_llg_matcher *matcher, uint32_t *bits, size_t words);
/* Takes a token: 1, or 0 when it may not come (then nothing has changed). */
int32_t hutch_llg_commit(hutch_llg_matcher *matcher, uint32_t token);
/* Tokens that must come next, as the model's tokenizer writes them; not taken yet. */
ptrdiff_t hutch_llg_forced(hutch_llg_matcher *matcher, uint32_t *tokens, size_t capacity);
/* 1 when the text may end here. */
int32_t hutch_llg_accepting(hutch_llg_matcher *matcher);
/* 1 when nothing can follow. */
int32_t hutch_llg_stopped(const hutch_llg_matcher *matcher);

#ifdef __cplusplus
}
#endif

#endif

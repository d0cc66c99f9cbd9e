/*
 * The flat C ABI between hutch and llama.cpp. Only scalars, buffers and opaque handles cross; no
 * struct, exception or callback does. test/contract/abi.test.ts holds this header and symbols.ts
 * together: one prototype a statement, types as written here.
 *
 * Status: 0 is success, negative values are `hutch_status`; `hutch_last_error` has the text. Texts
 * are UTF-8. Buffers belong to the caller; nothing keeps a pointer after a call returns. All calls
 * come from one thread, except hutch_drain_log, which any thread may call.
 */
#ifndef HUTCH_H
#define HUTCH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef _WIN32
#define HUTCH_API __declspec(dllexport)
#else
#define HUTCH_API __attribute__((visibility("default")))
#endif

#define HUTCH_ABI_VERSION 7

#ifdef __cplusplus
extern "C" {
#endif

enum hutch_status {
  HUTCH_STATUS_OK = 0,
  HUTCH_STATUS_ERROR = -1,     /* the engine failed; state after it is said at each function */
  HUTCH_STATUS_INVALID = -2,   /* an argument is out of range; nothing has changed */
  HUTCH_STATUS_NO_MEMORY = -3, /* an allocation failed */
  HUTCH_STATUS_NO_CELLS = -4,  /* the KV cache has no room for the batch; nothing has changed */
  HUTCH_STATUS_INTERRUPTED = -5, /* a step ended early because of a signal; nothing has changed */
};

/* Facts of a loaded model, for hutch_model_fact. */
enum hutch_fact {
  HUTCH_FACT_TRAINED_CONTEXT = 0, /* tokens */
  HUTCH_FACT_CONTEXT = 1,         /* tokens one sequence can hold */
  HUTCH_FACT_SLOTS = 2,
  HUTCH_FACT_BATCH = 3, /* most tokens of one hutch_decode */
  HUTCH_FACT_VOCABULARY = 4,
  HUTCH_FACT_EMBEDDING = 5,    /* length of an embedding, or how many scores a reranker gives */
  HUTCH_FACT_ADDS_BOS = 6,     /* 0 or 1, as the following */
  HUTCH_FACT_CAN_SHIFT = 7,    /* hutch_memory_shift works */
  HUTCH_FACT_CAN_TRIM = 8,     /* the tail of a sequence can be removed */
  HUTCH_FACT_POOLED = 9,       /* embeddings are pooled per sequence */
  HUTCH_FACT_GENERATES = 10,   /* has a decoder with memory */
  HUTCH_FACT_MEMORY_TOTAL = 11, /* bytes held: weights, cache, compute buffers */
  HUTCH_FACT_MEMORY_GPU = 12,   /* bytes of it on GPUs */
  HUTCH_FACT_UNIFIED = 13,      /* sequences share one pool of cells */
  HUTCH_FACT_BOS = 14,          /* token id, -1 = none */
  HUTCH_FACT_CAUSAL = 15,       /* 0: a text must be evaluated in one batch */
  HUTCH_FACT_SEQUENCES = 16,    /* sequences that one hutch_decode may hold, >= SLOTS */
  HUTCH_FACT_WHOLE = 17,        /* an embedding needs its whole text in one hutch_decode */
  HUTCH_FACT_IMAGES = 18,       /* the projector reads images */
  HUTCH_FACT_SOUND = 19,        /* the projector reads sound */
  HUTCH_FACT_THREADS = 20,        /* threads that it was loaded with */
  HUTCH_FACT_DRAFTS = 21,         /* a draft model is loaded */
  HUTCH_FACT_INTERRUPTIBLE = 22, /* steps can be interrupted: signals are listened to, no GPU is used, the memory, if any, can forget a part */
  HUTCH_FACT_MADE_FOR = 23,       /* sequences that the context is made for: fewer than early_slots where the system refuses */
  HUTCH_FACT_GPU_SHARES = 24,     /* a GPU that is used has the machine's memory, none of its own */
};

typedef struct hutch_params hutch_params;
typedef struct hutch_model hutch_model;
typedef struct hutch_sampler hutch_sampler;
typedef struct hutch_media hutch_media;
typedef struct hutch_drafter hutch_drafter;
typedef struct hutch_tokenizing hutch_tokenizing;
typedef struct hutch_compilation hutch_compilation;
typedef struct hutch_constraint hutch_constraint;

/* --- process ------------------------------------------------------------------------------- */

/* HUTCH_ABI_VERSION of this library. */
HUTCH_API int32_t hutch_abi_version(void);

/* Text of the last failure, cut to `size` with a final 0. Returns its whole length in bytes. */
HUTCH_API int32_t hutch_last_error(char *buffer, int32_t size);

/* Moves up to `size` bytes of the errors in llama.cpp's log into `buffer` and forgets them; the oldest are lost
 * when more than 64 KiB wait. Returns the bytes written, no final 0. */
HUTCH_API int32_t hutch_drain_log(char *buffer, int32_t size);

/* Asks the system to kill this process when its parent ends (Linux). Returns OK, or ERROR when
 * the parent has ended already. Elsewhere OK without effect. */
HUTCH_API int32_t hutch_die_with_parent(int32_t parent);

/* Lets SIGUSR2 interrupt those steps that may be (hutch_decode): from then on the signal does nothing
 * else. Steps that end within `grace_ms` of it are let be. INVALID on systems without such signals. */
HUTCH_API int32_t hutch_interrupt_init(int32_t grace_ms);

/* Loads the ggml backends found in `folder` and starts llama.cpp. Once per process, first. Without `gpus` the
 * process sees none of CUDA and ROCm, and takes nothing of their memory. */
HUTCH_API int32_t hutch_init(const char *folder, bool gpus);

/* 1 when a backend sees a GPU, else 0. */
HUTCH_API int32_t hutch_has_gpu(void);

/* Loads one backend; the log says why not. ERROR when it cannot be loaded. */
HUTCH_API int32_t hutch_backend_load(const char *path);

/* Physical cores of the machine, at least 1. */
HUTCH_API int32_t hutch_physical_cores(void);

/* The number it is given: shows that 64-bit values cross unharmed. */
HUTCH_API int64_t hutch_echo(int64_t value);

/* --- model --------------------------------------------------------------------------------- */

/* Defaults for loading; free with hutch_params_free. */
HUTCH_API hutch_params *hutch_params_init(void);
HUTCH_API void hutch_params_free(hutch_params *params);

/* Sets a number: context, slots, early_slots (that the context is made for, as far as the system allows; up to so many no
 * second context is made), batch, threads, gpu_layers, main_gpu, mmap (-1 automatic, 0, 1), unified (0, 1), flash_attention (-1 automatic, 0, 1), embeddings (0, 1), vocabulary_only (0, 1).
 * INVALID for other keys. */
HUTCH_API int32_t hutch_params_set(hutch_params *params, const char *key, int64_t value);

/* Element type of the KV cache as ggml spells it: f16, q8_0, ... INVALID for unknown ones. */
HUTCH_API int32_t hutch_params_set_cache_type(hutch_params *params, const char *name);

/* Adds a LoRA adapter file. */
HUTCH_API int32_t hutch_params_add_adapter(hutch_params *params, const char *path, float scale);

/* Sets the projector file, for images and sound. */
HUTCH_API int32_t hutch_params_set_projector(hutch_params *params, const char *path);

/* Sets the draft model's file. A draft model that cannot be used is no failure of the load. */
HUTCH_API int32_t hutch_params_set_draft(hutch_params *params, const char *path);

/* Loads a model and makes its context. NULL on failure (nothing is kept); free with
 * hutch_model_free. `params` may be freed afterwards. With vocabulary_only there is no context: only
 * functions of text and constraints work, and the fact VOCABULARY. */
HUTCH_API hutch_model *hutch_model_load(const char *path, const hutch_params *params);

/* Frees the model, when threads that tokenise for it have ended; its samplers and drafters must have been
 * freed before. NULL is fine. */
HUTCH_API void hutch_model_free(hutch_model *model);

/* A fact by `hutch_fact`; INVALID (as a number) for an unknown one. */
HUTCH_API int64_t hutch_model_fact(const hutch_model *model, int32_t fact);

/* Names of the GPUs that the model uses, one a line. Returns the bytes written, at most `size`, no final 0. */
HUTCH_API int32_t hutch_model_gpus(const hutch_model *model, char *buffer, int32_t size);

/* The model's Jinja chat template. Returns its length in bytes, -1 when there is none; copies up to
 * `size` bytes, no final 0. */
HUTCH_API int32_t hutch_model_template(const hutch_model *model, char *buffer, int32_t size);

/* Why the draft model that was set is not used, nothing when it is. Returns the bytes written, no final 0. */
HUTCH_API int32_t hutch_model_draft_problem(const hutch_model *model, char *buffer, int32_t size);

/* --- text ---------------------------------------------------------------------------------- */

/* Token ids of `length` bytes of text. Returns their number; when that is over `capacity`, the
 * negative of the number needed, and nothing useful in `tokens`. INVALID cannot be told from -2
 * tokens needed: ask with capacity 0 only for texts of more than 2 tokens. INT32_MIN: failed. */
HUTCH_API int32_t hutch_tokenize(const hutch_model *model, const char *text, int32_t length, bool add_special, bool parse_special, int32_t *tokens, int32_t capacity);

/* Starts cutting `count` texts, one behind the other in `texts`, into tokens on a thread beside the steps:
 * text i has lengths[i] bytes, and special tokens in it count when parse_special[i] is not 0. All is
 * copied. One thread fewer than there are cores is at it, at least one; further jobs wait. NULL on failure; free with
 * hutch_tokenize_free, also before it is done, before the model. */
HUTCH_API hutch_tokenizing *hutch_tokenize_start(hutch_model *model, const char *texts, int32_t count, const int32_t *lengths, const uint8_t *parse_special, bool add_special);

/* 1: done. 0: not yet. ERROR: it failed, and only hutch_tokenize_free may follow. */
HUTCH_API int32_t hutch_tokenize_done(const hutch_tokenizing *tokenizing);

/* How many tokens each text has. INVALID before it is done. */
HUTCH_API int32_t hutch_tokenize_counts(const hutch_tokenizing *tokenizing, int32_t *counts);

/* Token ids of all texts, one behind the other. INVALID before it is done, or when they are more than
 * `capacity`. */
HUTCH_API int32_t hutch_tokenize_take(const hutch_tokenizing *tokenizing, int32_t *tokens, int32_t capacity);

/* Does not wait: a thread that is at it ends with its text. NULL is fine. */
HUTCH_API void hutch_tokenize_free(hutch_tokenizing *tokenizing);

/* Text of tokens, special ones written out. Returns its length in bytes, negative = bytes needed. */
HUTCH_API int32_t hutch_detokenize(const hutch_model *model, const int32_t *tokens, int32_t count, char *buffer, int32_t size);

/* Bytes of one token; control tokens are empty unless `special`. Returns their number, negative =
 * bytes needed. May be half a UTF-8 character. */
HUTCH_API int32_t hutch_token_piece(const hutch_model *model, int32_t token, bool special, char *buffer, int32_t size);

/* What kinds of tokens the first `count` are: bits of llama.h's `llama_token_attr`, one number each.
 * INVALID when there are not so many. */
HUTCH_API int32_t hutch_token_attributes(const hutch_model *model, int32_t *attributes, int32_t count);

/* Renders a conversation (JSON array of messages in OpenAI form; array of tools or ""; object of
 * variables) with the model's Jinja template, ChatML when it has none. `ending`: 0 = as it is, 1 = the
 * assistant's turn is opened behind it, 2 = the last message, the assistant's, stays open, to be gone on
 * with. Returns the length in bytes of the text, which hutch_rendered then copies; ERROR when the
 * template fails. */
HUTCH_API int32_t hutch_render(hutch_model *model, const char *messages, const char *tools, const char *variables, int32_t ending);

/* Copies the text of the last hutch_render; returns the bytes written, no final 0. */
HUTCH_API int32_t hutch_rendered(const hutch_model *model, char *buffer, int32_t size);

/* --- evaluation ---------------------------------------------------------------------------- */

/* Evaluates `count` tokens in one step; row i has token, position and sequence i, and logits (or
 * embeddings) when wanted[i] is not 0. NO_CELLS: nothing has changed. ERROR: cells of the batch may
 * have been written; remove the sequences concerned. INTERRUPTED, only where `interruptible` and the
 * fact INTERRUPTIBLE allow it: the signal of hutch_interrupt_init came, and nothing has changed. A
 * signal is forgotten when a step ends: whoever sent it is heard then. */
HUTCH_API int32_t hutch_decode(hutch_model *model, int32_t count, const int32_t *tokens, const int32_t *positions, const int32_t *sequences, const uint8_t *wanted, bool interruptible);

/* Switches between logits (false) and embeddings (true) for the following hutch_decode calls. */
HUTCH_API int32_t hutch_set_embeddings(hutch_model *model, bool embeddings);

/* Copies the embedding of a sequence (pooled models) or of a row (others): hutch_fact EMBEDDING
 * floats. Normalises to length 1 when asked; scores of rerankers stay as they are. ERROR when there
 * is none, or a value is not finite. */
HUTCH_API int32_t hutch_embedding(hutch_model *model, int32_t sequence, int32_t row, bool normalize, float *vector);

/* Removes positions [from, to) of a sequence; to < 0 = to its end. Returns 1, or 0 when the memory
 * cannot forget just these (recurrent models): then nothing has changed. */
HUTCH_API int32_t hutch_memory_remove(hutch_model *model, int32_t sequence, int32_t from, int32_t to);

/* Lets `target` (which must be empty) hold what `source` holds. The cells are copied by the next
 * hutch_decode: until then neither sequence may be saved, restored, or the context replaced. */
HUTCH_API int32_t hutch_memory_copy(hutch_model *model, int32_t source, int32_t target);

/* Moves positions [from, to) of a sequence by `delta`. */
HUTCH_API int32_t hutch_memory_shift(hutch_model *model, int32_t sequence, int32_t from, int32_t to, int32_t delta);

/* Smallest position that a sequence still holds, -1 when empty (sliding windows forget). */
HUTCH_API int32_t hutch_memory_first(const hutch_model *model, int32_t sequence);

/* --- state --------------------------------------------------------------------------------- */

/* Bytes that hutch_state_get writes for a sequence; negative = failed. */
HUTCH_API int64_t hutch_state_size(hutch_model *model, int32_t sequence);

/* Writes what a sequence holds. Returns the bytes written, 0 = the buffer is too small. */
HUTCH_API int64_t hutch_state_get(hutch_model *model, int32_t sequence, uint8_t *buffer, int64_t size);

/* Makes a sequence hold what was saved from a model of the same file and cache type. ERROR: the bytes
 * do not fit; the sequence is empty then. */
HUTCH_API int32_t hutch_state_set(hutch_model *model, int32_t sequence, const uint8_t *buffer, int64_t size);

/* More sequences of the same length; what the present ones hold stays. Where the context was made for so
 * many (early_slots) it costs nothing. Else a larger context takes its place: hutch_memory_copy since the
 * last hutch_decode is then lost, because only that copies between sequences, and so are the logits of the
 * last hutch_decode. NO_MEMORY or ERROR: all stays as it is. */
HUTCH_API int32_t hutch_model_set_slots(hutch_model *model, int32_t slots);

/* Threads of the following steps, at most those that the model was loaded with; INVALID otherwise. */
HUTCH_API int32_t hutch_set_threads(hutch_model *model, int32_t count);

/* --- sampling ------------------------------------------------------------------------------ */

/* A sampler for one request; meanings as `Sampling` in src/engine/engine.ts. NULL on failure; free
 * with hutch_sampler_free before the model. */
HUTCH_API hutch_sampler *hutch_sampler_init(const hutch_model *model, uint32_t seed, float temperature, int32_t top_k, float top_p, float min_p, float typical_p, int32_t repeat_last_n, float repeat_penalty, float presence_penalty, float frequency_penalty, int32_t mirostat, float mirostat_tau, float mirostat_eta);
HUTCH_API void hutch_sampler_free(hutch_sampler *sampler);

/* Tells a sampler tokens that came before (for penalties). */
HUTCH_API int32_t hutch_sampler_accept(hutch_sampler *sampler, const int32_t *tokens, int32_t count);

/* Samples one token for each of `count` rows of the last hutch_decode, with samplers[i] (addresses).
 * tokens[i]: the token, already accepted by its sampler. ends[i]: 1 when it ends the generation.
 * pieces + i * stride: its bytes, lengths[i] of them; lengths[i] < 0: more than stride, ask
 * hutch_token_piece. ERROR: a row has no finite logits, tokens[i] is then -1; or its constraint
 * failed, tokens[i] is then -2 and hutch_sampler_failure says why. Other rows are fine. */
HUTCH_API int32_t hutch_sample(hutch_model *model, int32_t count, const int32_t *rows, const int64_t *samplers, int32_t *tokens, uint8_t *ends, char *pieces, int32_t stride, int32_t *lengths);

/* Natural logarithms of probabilities at a row, before any sampler: first of `token`, then of the
 * `top` likeliest. Writes 1 + top ids and values; returns how many. */
HUTCH_API int32_t hutch_logprobs(hutch_model *model, int32_t row, int32_t token, int32_t top, int32_t *tokens, float *logprobs);

/* --- drafting ------------------------------------------------------------------------------ */

/* Guesses for one request at the tokens to come: by the n-grams of what came, or by the draft model,
 * which keeps what it has read for the next drafter. NULL: there is no draft model. Free with
 * hutch_drafter_free before the model. */
HUTCH_API hutch_drafter *hutch_drafter_init(hutch_model *model, bool by_model);
HUTCH_API void hutch_drafter_free(hutch_drafter *drafter);

/* Tells it the next tokens of the request, of prompt and answer alike; rows of images have negative
 * numbers, which only n-grams can take. */
HUTCH_API int32_t hutch_drafter_add(hutch_drafter *drafter, const int32_t *tokens, int32_t count);

/* Lets it read at most `most` tokens of what it was told. Returns how many are left to read. ERROR: the
 * draft model failed and has forgotten everything. INVALID: it was told nothing, or too much. */
HUTCH_API int32_t hutch_drafter_read(hutch_drafter *drafter, int32_t most);

/* Guesses at most `most` tokens that may follow. Returns how many; 0 while something is left to read. */
HUTCH_API int32_t hutch_drafter_guess(hutch_drafter *drafter, int32_t *tokens, int32_t most);

/* --- images and sound ---------------------------------------------------------------------- */

/* Reads an image (PNG, JPEG, GIF, BMP, PNM) or sound (WAV, MP3, FLAC) in a thread of its own and cuts
 * it into chunks for the model; hutch_media_poll says when that is done. The bytes are copied. NULL:
 * no projector was loaded. Free with hutch_media_free before the model. */
HUTCH_API hutch_media *hutch_media_init(hutch_model *model, const uint8_t *bytes, int64_t length);

/* Stops what the thread does, waits for it (milliseconds), frees. NULL is fine. */
HUTCH_API void hutch_media_free(hutch_media *media);

/* 0: the thread is at work; 1: it is done, or never was. INVALID: these bytes cannot be read. ERROR:
 * the projector failed. After a failure only hutch_media_free may follow. */
HUTCH_API int32_t hutch_media_poll(hutch_media *media);

/* How many chunks there are, in the order of evaluation. Only when done. */
HUTCH_API int32_t hutch_media_chunks(const hutch_media *media);

/* Facts of a chunk: facts[0] rows, facts[1] positions that it takes, facts[2] 1 when it is text (a
 * mark around an image), facts[3] 1 when its rows must be decoded at once. INVALID: no such chunk. */
HUTCH_API int32_t hutch_media_chunk(const hutch_media *media, int32_t index, int32_t *facts);

/* Token ids of a text chunk: as many as it has rows. */
HUTCH_API int32_t hutch_media_tokens(const hutch_media *media, int32_t index, int32_t *tokens);

/* Runs the projector on a chunk in the thread; the result stays until the next call. One at a time per
 * model: INVALID while another media is at it. */
HUTCH_API int32_t hutch_media_encode(hutch_media *media, int32_t index);

/* Evaluates rows [from, from + count) of the chunk encoded last; `position` is that of its first row.
 * The last row gets logits when `wanted`. Status and state as hutch_decode. */
HUTCH_API int32_t hutch_media_decode(hutch_media *media, int32_t from, int32_t count, int32_t sequence, int32_t position, bool wanted);

/* --- quantising ---------------------------------------------------------------------------- */

/* Begins to quantise `input` into the file `output` with `threads` threads of their own; one job per
 * process. `file_type` is a number of `general.file_type`. `overrides` gives tensors other types:
 * regular expressions with types as ggml spells them, "attn_v_b=q8_0;output=f16", or "". INVALID for
 * types that do not exist; nothing has begun then. */
HUTCH_API int32_t hutch_quantize_start(const char *input, const char *output, int32_t file_type, const char *overrides, int32_t threads);

/* How far the job is: writes tensors done and their number, 0 while not known. Returns 1 while it
 * runs and 0 when it has succeeded; ERROR: it has failed, `output` is of no use. */
HUTCH_API int32_t hutch_quantize_progress(int32_t *done, int32_t *total);

/* --- constraints --------------------------------------------------------------------------- */

/* Starts compiling a constraint on a thread of its own; `kind` is schema, answer (a schema for writing:
 * objects get only the members that it names), lark, regex or choice (JSON list of texts). NULL
 * on failure; free with hutch_compile_free, also before it is done. */
HUTCH_API hutch_compilation *hutch_compile_start(hutch_model *model, const char *kind, const char *text, int32_t length);

/* 1: done. 0: not yet. ERROR: the compiler failed; a refusal is a result and no failure. */
HUTCH_API int32_t hutch_compile_done(hutch_compilation *compilation);

/* The result, once: NULL before it is done. Free with hutch_constraint_free before the model. */
HUTCH_API hutch_constraint *hutch_compile_take(hutch_compilation *compilation);
HUTCH_API void hutch_compile_free(hutch_compilation *compilation);

/* JSON: {"level": enforced | validated | refused, "reason"?: {"pointer"?, "keyword", "reason"}}. Returns
 * its length in bytes, copies up to `size`, no final 0. */
HUTCH_API int32_t hutch_constraint_describe(const hutch_constraint *constraint, char *buffer, int32_t size);

/* 1 when the grammar takes a text whole, token by token and at the end; 0 when not; or ERROR. */
HUTCH_API int32_t hutch_constraint_accepts(const hutch_constraint *constraint, const char *text, int32_t length);

/* 0 when a text fits the schema, or there is none. Positive: length of a reason as above (pointer into
 * the text), of which up to `size` bytes are copied. Or ERROR. */
HUTCH_API int32_t hutch_constraint_validate(const hutch_constraint *constraint, const char *text, int32_t length, char *buffer, int32_t size);

/* Samplers that it constrains go on. NULL is fine. */
HUTCH_API void hutch_constraint_free(hutch_constraint *constraint);

/* Constrains what a sampler samples from now on, from the beginning of the constraint; NULL lifts it.
 * ERROR: the constraint was refused; nothing has changed. */
HUTCH_API int32_t hutch_sampler_constrain(hutch_sampler *sampler, const hutch_constraint *constraint);

/* Tells a constrained sampler tokens that came without it. 1: they fit. 0 or ERROR: they do not, the
 * constraint is of no use any more. */
HUTCH_API int32_t hutch_sampler_feed(hutch_sampler *sampler, const int32_t *tokens, int32_t count);

/* Tokens that must come next, at most `capacity`, already taken by the constrained sampler. Returns
 * their number or ERROR. */
HUTCH_API int32_t hutch_sampler_forced(hutch_sampler *sampler, int32_t *tokens, int32_t capacity);

/* 1 when a constrained sampler allows nothing but the end, 2 when the text may end here, 0 when not. */
HUTCH_API int32_t hutch_sampler_over(const hutch_sampler *sampler);

/* Text of the last failed constraint (-2 of hutch_sample); returns the bytes written, no final 0. */
HUTCH_API int32_t hutch_sampler_failure(const hutch_sampler *sampler, char *buffer, int32_t size);

#ifdef __cplusplus
}
#endif

#endif

/**
 * The symbol table of `hutch.h`, in its order, each entry under its prototype. bun:ffi checks neither
 * number nor width of arguments: `test/contract/abi.test.ts` holds this table and the header together.
 */
import type { FFIFunction } from "bun:ffi";

/** Version of the ABI that this table describes; the library must report the same. */
export const abiVersion = 7;

export const symbols = {
  // int32_t hutch_abi_version(void)
  hutch_abi_version: { args: [], returns: "i32" },
  // int32_t hutch_last_error(char *buffer, int32_t size)
  hutch_last_error: { args: ["ptr", "i32"], returns: "i32" },
  // int32_t hutch_drain_log(char *buffer, int32_t size)
  hutch_drain_log: { args: ["ptr", "i32"], returns: "i32" },
  // int32_t hutch_die_with_parent(int32_t parent)
  hutch_die_with_parent: { args: ["i32"], returns: "i32" },
  // int32_t hutch_interrupt_init(int32_t grace_ms)
  hutch_interrupt_init: { args: ["i32"], returns: "i32" },
  // int32_t hutch_init(const char *folder, bool gpus)
  hutch_init: { args: ["ptr", "bool"], returns: "i32" },
  // int32_t hutch_has_gpu(void)
  hutch_has_gpu: { args: [], returns: "i32" },
  // int32_t hutch_backend_load(const char *path)
  hutch_backend_load: { args: ["ptr"], returns: "i32" },
  // int32_t hutch_physical_cores(void)
  hutch_physical_cores: { args: [], returns: "i32" },
  // int64_t hutch_echo(int64_t value)
  hutch_echo: { args: ["i64"], returns: "i64" },
  // hutch_params *hutch_params_init(void)
  hutch_params_init: { args: [], returns: "ptr" },
  // void hutch_params_free(hutch_params *params)
  hutch_params_free: { args: ["ptr"], returns: "void" },
  // int32_t hutch_params_set(hutch_params *params, const char *key, int64_t value)
  hutch_params_set: { args: ["ptr", "ptr", "i64"], returns: "i32" },
  // int32_t hutch_params_set_cache_type(hutch_params *params, const char *name)
  hutch_params_set_cache_type: { args: ["ptr", "ptr"], returns: "i32" },
  // int32_t hutch_params_add_adapter(hutch_params *params, const char *path, float scale)
  hutch_params_add_adapter: { args: ["ptr", "ptr", "f32"], returns: "i32" },
  // int32_t hutch_params_set_projector(hutch_params *params, const char *path)
  hutch_params_set_projector: { args: ["ptr", "ptr"], returns: "i32" },
  // int32_t hutch_params_set_draft(hutch_params *params, const char *path)
  hutch_params_set_draft: { args: ["ptr", "ptr"], returns: "i32" },
  // hutch_model *hutch_model_load(const char *path, const hutch_params *params)
  hutch_model_load: { args: ["ptr", "ptr"], returns: "ptr" },
  // void hutch_model_free(hutch_model *model)
  hutch_model_free: { args: ["ptr"], returns: "void" },
  // int64_t hutch_model_fact(const hutch_model *model, int32_t fact)
  hutch_model_fact: { args: ["ptr", "i32"], returns: "i64" },
  // int32_t hutch_model_gpus(const hutch_model *model, char *buffer, int32_t size)
  hutch_model_gpus: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_model_template(const hutch_model *model, char *buffer, int32_t size)
  hutch_model_template: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_model_draft_problem(const hutch_model *model, char *buffer, int32_t size)
  hutch_model_draft_problem: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_tokenize(const hutch_model *model, const char *text, int32_t length, bool add_special, bool parse_special, int32_t *tokens, int32_t capacity)
  hutch_tokenize: { args: ["ptr", "ptr", "i32", "bool", "bool", "ptr", "i32"], returns: "i32" },
  // hutch_tokenizing *hutch_tokenize_start(hutch_model *model, const char *texts, int32_t count, const int32_t *lengths, const uint8_t *parse_special, bool add_special)
  hutch_tokenize_start: { args: ["ptr", "ptr", "i32", "ptr", "ptr", "bool"], returns: "ptr" },
  // int32_t hutch_tokenize_done(const hutch_tokenizing *tokenizing)
  hutch_tokenize_done: { args: ["ptr"], returns: "i32" },
  // int32_t hutch_tokenize_counts(const hutch_tokenizing *tokenizing, int32_t *counts)
  hutch_tokenize_counts: { args: ["ptr", "ptr"], returns: "i32" },
  // int32_t hutch_tokenize_take(const hutch_tokenizing *tokenizing, int32_t *tokens, int32_t capacity)
  hutch_tokenize_take: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  // void hutch_tokenize_free(hutch_tokenizing *tokenizing)
  hutch_tokenize_free: { args: ["ptr"], returns: "void" },
  // int32_t hutch_detokenize(const hutch_model *model, const int32_t *tokens, int32_t count, char *buffer, int32_t size)
  hutch_detokenize: { args: ["ptr", "ptr", "i32", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_token_piece(const hutch_model *model, int32_t token, bool special, char *buffer, int32_t size)
  hutch_token_piece: { args: ["ptr", "i32", "bool", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_token_attributes(const hutch_model *model, int32_t *attributes, int32_t count)
  hutch_token_attributes: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_render(hutch_model *model, const char *messages, const char *tools, const char *variables, int32_t ending)
  hutch_render: { args: ["ptr", "ptr", "ptr", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_rendered(const hutch_model *model, char *buffer, int32_t size)
  hutch_rendered: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_decode(hutch_model *model, int32_t count, const int32_t *tokens, const int32_t *positions, const int32_t *sequences, const uint8_t *wanted, bool interruptible)
  hutch_decode: { args: ["ptr", "i32", "ptr", "ptr", "ptr", "ptr", "bool"], returns: "i32" },
  // int32_t hutch_set_embeddings(hutch_model *model, bool embeddings)
  hutch_set_embeddings: { args: ["ptr", "bool"], returns: "i32" },
  // int32_t hutch_embedding(hutch_model *model, int32_t sequence, int32_t row, bool normalize, float *vector)
  hutch_embedding: { args: ["ptr", "i32", "i32", "bool", "ptr"], returns: "i32" },
  // int32_t hutch_memory_remove(hutch_model *model, int32_t sequence, int32_t from, int32_t to)
  hutch_memory_remove: { args: ["ptr", "i32", "i32", "i32"], returns: "i32" },
  // int32_t hutch_memory_copy(hutch_model *model, int32_t source, int32_t target)
  hutch_memory_copy: { args: ["ptr", "i32", "i32"], returns: "i32" },
  // int32_t hutch_memory_shift(hutch_model *model, int32_t sequence, int32_t from, int32_t to, int32_t delta)
  hutch_memory_shift: { args: ["ptr", "i32", "i32", "i32", "i32"], returns: "i32" },
  // int32_t hutch_memory_first(const hutch_model *model, int32_t sequence)
  hutch_memory_first: { args: ["ptr", "i32"], returns: "i32" },
  // int64_t hutch_state_size(hutch_model *model, int32_t sequence)
  hutch_state_size: { args: ["ptr", "i32"], returns: "i64" },
  // int64_t hutch_state_get(hutch_model *model, int32_t sequence, uint8_t *buffer, int64_t size)
  hutch_state_get: { args: ["ptr", "i32", "ptr", "i64"], returns: "i64" },
  // int32_t hutch_state_set(hutch_model *model, int32_t sequence, const uint8_t *buffer, int64_t size)
  hutch_state_set: { args: ["ptr", "i32", "ptr", "i64"], returns: "i32" },
  // int32_t hutch_model_set_slots(hutch_model *model, int32_t slots)
  hutch_model_set_slots: { args: ["ptr", "i32"], returns: "i32" },
  // int32_t hutch_set_threads(hutch_model *model, int32_t count)
  hutch_set_threads: { args: ["ptr", "i32"], returns: "i32" },
  // hutch_sampler *hutch_sampler_init(const hutch_model *model, uint32_t seed, float temperature, int32_t top_k, float top_p, float min_p, float typical_p, int32_t repeat_last_n, float repeat_penalty, float presence_penalty, float frequency_penalty, int32_t mirostat, float mirostat_tau, float mirostat_eta)
  hutch_sampler_init: {
    args: [
      "ptr",
      "u32",
      "f32",
      "i32",
      "f32",
      "f32",
      "f32",
      "i32",
      "f32",
      "f32",
      "f32",
      "i32",
      "f32",
      "f32",
    ],
    returns: "ptr",
  },
  // void hutch_sampler_free(hutch_sampler *sampler)
  hutch_sampler_free: { args: ["ptr"], returns: "void" },
  // int32_t hutch_sampler_accept(hutch_sampler *sampler, const int32_t *tokens, int32_t count)
  hutch_sampler_accept: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_sample(hutch_model *model, int32_t count, const int32_t *rows, const int64_t *samplers, int32_t *tokens, uint8_t *ends, char *pieces, int32_t stride, int32_t *lengths)
  hutch_sample: {
    args: ["ptr", "i32", "ptr", "ptr", "ptr", "ptr", "ptr", "i32", "ptr"],
    returns: "i32",
  },
  // int32_t hutch_logprobs(hutch_model *model, int32_t row, int32_t token, int32_t top, int32_t *tokens, float *logprobs)
  hutch_logprobs: { args: ["ptr", "i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  // hutch_drafter *hutch_drafter_init(hutch_model *model, bool by_model)
  hutch_drafter_init: { args: ["ptr", "bool"], returns: "ptr" },
  // void hutch_drafter_free(hutch_drafter *drafter)
  hutch_drafter_free: { args: ["ptr"], returns: "void" },
  // int32_t hutch_drafter_add(hutch_drafter *drafter, const int32_t *tokens, int32_t count)
  hutch_drafter_add: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_drafter_read(hutch_drafter *drafter, int32_t most)
  hutch_drafter_read: { args: ["ptr", "i32"], returns: "i32" },
  // int32_t hutch_drafter_guess(hutch_drafter *drafter, int32_t *tokens, int32_t most)
  hutch_drafter_guess: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  // hutch_media *hutch_media_init(hutch_model *model, const uint8_t *bytes, int64_t length)
  hutch_media_init: { args: ["ptr", "ptr", "i64"], returns: "ptr" },
  // void hutch_media_free(hutch_media *media)
  hutch_media_free: { args: ["ptr"], returns: "void" },
  // int32_t hutch_media_poll(hutch_media *media)
  hutch_media_poll: { args: ["ptr"], returns: "i32" },
  // int32_t hutch_media_chunks(const hutch_media *media)
  hutch_media_chunks: { args: ["ptr"], returns: "i32" },
  // int32_t hutch_media_chunk(const hutch_media *media, int32_t index, int32_t *facts)
  hutch_media_chunk: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  // int32_t hutch_media_tokens(const hutch_media *media, int32_t index, int32_t *tokens)
  hutch_media_tokens: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  // int32_t hutch_media_encode(hutch_media *media, int32_t index)
  hutch_media_encode: { args: ["ptr", "i32"], returns: "i32" },
  // int32_t hutch_media_decode(hutch_media *media, int32_t from, int32_t count, int32_t sequence, int32_t position, bool wanted)
  hutch_media_decode: { args: ["ptr", "i32", "i32", "i32", "i32", "bool"], returns: "i32" },
  // int32_t hutch_quantize_start(const char *input, const char *output, int32_t file_type, const char *overrides, int32_t threads)
  hutch_quantize_start: { args: ["ptr", "ptr", "i32", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_quantize_progress(int32_t *done, int32_t *total)
  hutch_quantize_progress: { args: ["ptr", "ptr"], returns: "i32" },
  // hutch_compilation *hutch_compile_start(hutch_model *model, const char *kind, const char *text, int32_t length)
  hutch_compile_start: { args: ["ptr", "ptr", "ptr", "i32"], returns: "ptr" },
  // int32_t hutch_compile_done(hutch_compilation *compilation)
  hutch_compile_done: { args: ["ptr"], returns: "i32" },
  // hutch_constraint *hutch_compile_take(hutch_compilation *compilation)
  hutch_compile_take: { args: ["ptr"], returns: "ptr" },
  // void hutch_compile_free(hutch_compilation *compilation)
  hutch_compile_free: { args: ["ptr"], returns: "void" },
  // int32_t hutch_constraint_describe(const hutch_constraint *constraint, char *buffer, int32_t size)
  hutch_constraint_describe: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_constraint_accepts(const hutch_constraint *constraint, const char *text, int32_t length)
  hutch_constraint_accepts: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_constraint_validate(const hutch_constraint *constraint, const char *text, int32_t length, char *buffer, int32_t size)
  hutch_constraint_validate: { args: ["ptr", "ptr", "i32", "ptr", "i32"], returns: "i32" },
  // void hutch_constraint_free(hutch_constraint *constraint)
  hutch_constraint_free: { args: ["ptr"], returns: "void" },
  // int32_t hutch_sampler_constrain(hutch_sampler *sampler, const hutch_constraint *constraint)
  hutch_sampler_constrain: { args: ["ptr", "ptr"], returns: "i32" },
  // int32_t hutch_sampler_feed(hutch_sampler *sampler, const int32_t *tokens, int32_t count)
  hutch_sampler_feed: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_sampler_forced(hutch_sampler *sampler, int32_t *tokens, int32_t capacity)
  hutch_sampler_forced: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  // int32_t hutch_sampler_over(const hutch_sampler *sampler)
  hutch_sampler_over: { args: ["ptr"], returns: "i32" },
  // int32_t hutch_sampler_failure(const hutch_sampler *sampler, char *buffer, int32_t size)
  hutch_sampler_failure: { args: ["ptr", "ptr", "i32"], returns: "i32" },
} as const satisfies Record<string, FFIFunction>;

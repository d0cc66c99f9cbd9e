/**
 * The engine as the rest of hutch sees it: load a model file, turn text into tokens, tokens into
 * text. Two implementations keep the same contract (`test/contract/engine`): `process.ts` runs
 * libllama in a child process, `fake.ts` has no native code. Everything is resolved before this line:
 * no option is looked up, no default chosen below it. Times are nanoseconds, sizes bytes, lengths tokens.
 */

/** How a model is to be loaded. A change of any of these means another load. */
export interface LoadSpec {
  /** Absolute path of the GGUF file; further shards are found beside it by libllama. */
  readonly path: string;
  /** LoRA files, all with the given scale. */
  readonly adapters: readonly { readonly path: string; readonly scale: number }[];
  /** Projector files (images, audio); at most one is used. */
  readonly projectors: readonly string[];
  /** Tokens of one slot's context, >= 4; clamped to the trained length by the caller. */
  readonly contextLength: number;
  /** Slots: requests evaluated side by side at most, 1..64; their memory is taken when it is needed. */
  readonly slots: number;
  /** Most tokens of one decode (llama.h `n_batch`), >= 1. */
  readonly batchSize: number;
  /** Threads for decoding and prompts; 0 = as many as physical cores. */
  readonly threads: number;
  /** Layers on the GPU; -1 = as many as fit, 0 = CPU only. */
  readonly gpuLayers: number;
  /** Index of the only GPU to use, or undefined for the backend's choice. */
  readonly mainGpu?: number;
  /** Map the file instead of reading it; undefined = engine's choice. */
  readonly mmap?: boolean;
  /** KV cache element type, as ggml spells it in lower case: f16, q8_0, q4_0, ... */
  readonly kvCacheType: string;
  readonly flashAttention: "auto" | "on" | "off";
  /** Results do not depend on what else is evaluated at the time; slower. */
  readonly deterministic?: boolean;
  /** Memory of slots to come is set aside at the load: no second context is ever made for them (src/slots.ts). */
  readonly inPlace?: boolean;
  /** GGUF file of a small model that guesses what this one writes. */
  readonly draft?: string;
  /** Only the vocabulary, for `check`: no weights, no context, nothing else works. */
  readonly vocabularyOnly?: boolean;
}

/** What is known about a model once it is loaded. */
export interface SpecialToken {
  readonly id: number;
  readonly text: string;
  /** A word that was added to the vocabulary: special where the model's prompts give it a meaning. */
  readonly added?: boolean;
}

export interface LoadedModelInfo {
  /** Tokens of one slot's context, as really allocated (plain value, not rounded up). */
  readonly contextLength: number;
  readonly trainedContextLength: number;
  readonly slots: number;
  readonly vocabularySize: number;
  /** Whether the tokenizer puts a begin-of-text token in front by itself. */
  readonly addsBos: boolean;
  readonly embeddingLength: number;
  /** What a prompt may have besides text. */
  readonly inputs: { readonly images: boolean; readonly sound: boolean };
  /** Whether a full context can be shifted (llama.h `llama_memory_can_shift`). */
  readonly canShift: boolean;
  /** How requests can draft; absent = not at all. */
  readonly drafts?: readonly DraftWish["kind"][];
  /** Why the draft model of the load is not used. */
  readonly draftProblem?: string;
  /** Names of the GPUs that are used; absent = none. */
  readonly gpus?: readonly string[];
  /** Whether a GPU that is used has the machine's memory and none of its own; absent = no. */
  readonly gpuSharesMemory?: boolean;
  /** Why no GPU is used although a backend for one is installed. */
  readonly gpuProblem?: string;
  /** Tokens that mean something to the model rather than being text, with their texts. */
  readonly specialTokens: readonly SpecialToken[];
  /** The GGUF's Jinja chat template; undefined when it has none. */
  readonly chatTemplate?: string;
  /** Bytes held for weights, KV cache and compute buffers; `gpu` is the share on GPUs. */
  readonly memory: { readonly total: number; readonly gpu: number };
  /** Time from the request to load until ready. */
  readonly loadNs: number;
}

/**
 * A piece of a prompt. Texts side by side are one text to the tokenizer, but texts like `<|im_end|>`
 * become special tokens only where they stand whole inside one piece with `parseSpecial`: so what
 * users write is kept from it by cutting it there. `texts` are the pieces that tokens were made of.
 */
export type TextPart =
  | { readonly text: string; readonly parseSpecial: boolean }
  | { readonly tokens: readonly number[]; readonly texts?: readonly string[] };

/** Also an image (PNG, JPEG, WebP, GIF, BMP) or sound (WAV, MP3, FLAC), as the file's bytes. */
export type PromptPart = TextPart | { readonly media: Uint8Array };

/** Sampling, fully resolved (api.md 4). */
export interface Sampling {
  /** 0..2^32-1; the same seed gives the same text. */
  readonly seed: number;
  /** <= 0 is greedy. */
  readonly temperature: number;
  /** <= 0 is the whole vocabulary. */
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly typicalP: number;
  /** Tokens looked back at for penalties; 0 off, -1 the whole context. */
  readonly repeatLastN: number;
  readonly repeatPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** 0 off, 1 or 2 = version; then top-k, top-p, min-p and typical-p do not apply. */
  readonly mirostat: 0 | 1 | 2;
  readonly mirostatTau: number;
  readonly mirostatEta: number;
}

/** What an answer is to be, in the words of whoever asked (docs/structured-output.md). */
export interface Constraint {
  /** `schema`: a JSON schema. `lark`, `regex`: a grammar, an expression. `choice`: JSON list of texts. */
  readonly kind: "schema" | "lark" | "regex" | "choice";
  readonly text: string;
}

/** A constraint, and from when on it holds. Once it holds it is never lifted but by its own end. */
export interface ConstraintUse extends Constraint {
  /**
   * What the model may write before, freely: from `open` (or from the first token, when the prompt
   * has `opened` it) up to `close`. A model that begins with anything else is constrained at once.
   */
  readonly thinking?: { readonly open: string; readonly close: string; readonly opened: boolean };
  /**
   * Given: text is free, but after each of these tags the constraint holds until its grammar ends; with
   * `atStart` only where the answer begins with the tag. `before` is the end of the prompt that may be
   * the beginning of a tag. `next` says what follows: free text as soon as the grammar is fulfilled, or
   * only when it lets nothing more come (`message`), or nothing, so that the answer ends with it.
   */
  readonly tag?: {
    readonly texts: readonly string[];
    readonly atStart: boolean;
    readonly before: string;
    readonly next: "text" | "message" | "end";
  };
}

/** A rule that a schema cannot be held to, or that a text breaks. */
export interface BrokenRule {
  /** JSON pointer, into the schema or into the text; empty = the whole, absent = no place can be told. */
  readonly pointer?: string;
  /** Keyword of the schema; empty when it is none's fault. */
  readonly keyword: string;
  readonly reason: string;
}

/** How far a constraint can be kept: by the grammar, by the grammar and validation, not at all. */
export type ConstraintLevel = "enforced" | "validated" | "refused";

export interface ConstraintReport {
  readonly level: ConstraintLevel;
  /** Why it is not `enforced`. */
  readonly reason?: BrokenRule;
  /** 0 when it was compiled before. */
  readonly compileMs: number;
  /** One for each text. */
  readonly verdicts: readonly {
    /** By the engine, token by token and at the end. */
    readonly accepted: boolean;
    /** By the validator: the first rule that the text breaks. */
    readonly broken?: BrokenRule;
  }[];
}

/**
 * Guess the tokens to come and judge several in one step: by n-grams of what came before, or by the
 * draft model. The text is what it would be without (docs/additions.md, "Drafting").
 */
export interface DraftWish {
  readonly kind: "ngram" | "model";
  /** Guesses of one step at most, >= 1. */
  readonly most: number;
}

export interface GenerateRequest {
  readonly prompt: readonly PromptPart[];
  /** Whether BOS is put in front, when the tokenizer wants one and it is not there. */
  readonly addSpecial: boolean;
  readonly sampling: Sampling;
  /** Texts that end the answer and are not part of it; no empty ones. */
  readonly stop: readonly string[];
  /** Texts of special tokens that are shown in the answer when the model writes them; others are not. */
  readonly visible: readonly string[];
  /** Most tokens to sample, >= 1. */
  readonly maxTokens: number;
  /** What happens when the context is full: drop the middle and go on, or end with `length`. */
  readonly shift: boolean;
  /** Tokens kept at the front when shifting; -1 = the whole prompt. */
  readonly keep: number;
  /** Log probabilities: undefined = none, 0 = of the sampled token, n = and of the n likeliest (<= 20). */
  readonly logprobs?: number;
  /** Was checked by `check` before; when its engine fails the request fails. */
  readonly constraint?: ConstraintUse;
  /** Without effect where the model cannot draft so (`LoadedModelInfo.drafts`). */
  readonly draft?: DraftWish;
  /** Ask for `context` in the final event: tokens of prompt text plus answer text, without BOS. */
  readonly wantContext: boolean;
}

export interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

export type GenerateEvent =
  | {
      readonly type: "text";
      /** Whole UTF-8 characters, never empty unless `logprobs` are given. */
      readonly text: string;
      readonly logprobs?: readonly (TokenLogprob & { readonly top: readonly TokenLogprob[] })[];
    }
  | {
      readonly type: "done";
      /** `stop`: end token or stop text. `length`: maxTokens or the context's end. */
      readonly reason: "stop" | "length";
      /** All tokens of the prompt, cached ones included. */
      readonly promptTokens: number;
      /** Those of them that were still in the KV cache. */
      readonly cachedTokens: number;
      /** Tokens that were dropped to make room while the answer was written. */
      readonly shiftedTokens: number;
      readonly promptNs: number;
      /** Sampled tokens, the end token and tokens of a stop text included. */
      readonly evalTokens: number;
      readonly evalNs: number;
      /** Guesses that were judged, and those that came true; absent when the request did not draft. */
      readonly drafted?: { readonly tokens: number; readonly accepted: number };
      readonly context?: readonly number[];
    };

/** A conversation for the GGUF's own Jinja template. JSON texts are handed on as they are. */
export interface TemplateRequest {
  /** JSON array of messages in OpenAI form: role, content, tool_calls, reasoning_content, ... */
  readonly messagesJson: string;
  /** JSON array of tools in OpenAI form, or undefined. */
  readonly toolsJson?: string;
  /** Variables of the template, e.g. `enable_thinking`, as JSON values. */
  readonly kwargs: Readonly<Record<string, string>>;
  /** The assistant's turn is opened behind the messages, or the last one is its own and stays open. */
  readonly ending: "opened" | "continued";
}

export interface EmbedOptions {
  /** Vectors of length 1; scores stay as they are. */
  readonly normalize: boolean;
  /** Most tokens of a text, >= 0. */
  readonly limit: number;
  /** Longer texts are cut; else they are an error. */
  readonly truncate: boolean;
}

export interface Embeddings {
  /** In the order of the texts. */
  readonly vectors: readonly Float32Array[];
  /** Tokens of all texts, as cut. */
  readonly promptTokens: number;
  /** Tokens that were cut off. */
  readonly cutTokens: number;
}

/** A model that is loaded. Disposing of it frees its memory; running requests end with an error. */
export interface LoadedModel extends AsyncDisposable {
  readonly info: LoadedModelInfo;
  /** Token ids of a text. `addSpecial` puts BOS/EOS where the tokenizer wants them. */
  tokenize(
    text: string,
    options: { addSpecial: boolean; parseSpecial: boolean },
  ): Promise<number[]>;
  /** Token ids of a prompt, as `generate` would make them. */
  tokenizePrompt(
    prompt: readonly TextPart[],
    options: { addSpecial: boolean },
  ): Promise<readonly number[]>;
  /** Text of tokens, special ones written out, malformed UTF-8 replaced. */
  detokenize(tokens: readonly number[]): Promise<string>;
  /** The prompt that the GGUF's Jinja template (ChatML when it has none) makes of a conversation. */
  applyTemplate(request: TemplateRequest): Promise<string>;
  /**
   * Runs one request. Waits for a free slot. Ends after the `done` event; aborting the signal or
   * leaving the loop frees the slot. Throws `ContextOverflowError` when the prompt has more tokens
   * than fit (context length - 1), `InvalidRequestError` for media that cannot be read or that the
   * model does not take, `EngineCrashedError` when the process ends (`NotBegunError` when the request
   * had no slot by then), `EngineError`.
   */
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateEvent>;
  /**
   * How far a constraint can be kept, and which texts keep to it. Happens in a process of its own: it
   * may take seconds, and what is hostile ends that process alone. A constraint that cannot be
   * compiled in bounded time and memory is refused. Throws `EngineError` when a text cannot be judged.
   */
  check(
    constraint: Constraint,
    texts: readonly string[],
    signal: AbortSignal,
  ): Promise<ConstraintReport>;
  /**
   * One vector per text: the pooled output, or the last token's for models without pooling; the
   * scores of rerankers. Texts of several requests share batches. Throws `ContextOverflowError` for a
   * text that is too long, `InvalidRequestError` for one without tokens, `EngineError`.
   */
  embed(texts: readonly string[], options: EmbedOptions, signal: AbortSignal): Promise<Embeddings>;
  /** Resident memory of the process that holds the model; undefined where none does, or nobody tells. */
  residentBytes(): number | undefined;
  /** Settles, never rejects, when the model can serve no longer: with the reason, or undefined after disposal. */
  readonly ended: Promise<Error | undefined>;
}

export interface Engine extends AsyncDisposable {
  /**
   * Loads a model. The file was checked before (`model/gguf/check.ts`). Aborting ends the load and
   * frees everything. Throws `ModelLoadError`, `OutOfMemoryError`, `EngineCrashedError`.
   */
  load(spec: LoadSpec, signal: AbortSignal): Promise<LoadedModel>;
}

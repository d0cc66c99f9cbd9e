/**
 * Vocabularies of `tokenizer.json`: byte-level BPE, BPE with byte fallback (SentencePiece in another
 * file), WordPiece and unigram.
 */
import { ConvertError } from "../../../errors.ts";
import { isObject, type JsonObject } from "../source.ts";
import { preTokenizerOf } from "./pre-tokenizers.ts";
import { tokenTypes, type Vocabulary } from "./vocabulary.ts";

const file = "tokenizer.json";
/** Most tokens of a vocabulary; the largest known has 262,144. */
const mostTokens = 4 * 2 ** 20;

interface Token {
  readonly text: string;
  readonly score: number;
  readonly type: number;
}

function fail(why: string): never {
  throw new ConvertError(`parse ${file}: ${why}`);
}

function checkId(id: unknown, text: string): number {
  if (!Number.isInteger(id) || Number(id) < 0 || Number(id) >= mostTokens) {
    fail(`id ${JSON.stringify(id)} of "${text}" is out of range`);
  }
  return Number(id);
}

interface Added {
  readonly id: number;
  readonly text: string;
  readonly special: boolean;
}

function addedTokens(tokenizer: JsonObject): Added[] {
  const listed = tokenizer.added_tokens ?? [];
  if (!Array.isArray(listed)) fail("added_tokens must be a list");
  return listed.map((entry) => {
    if (!isObject(entry) || typeof entry.content !== "string") {
      return fail("added_tokens must have contents");
    }
    const text = entry.content;
    return { id: checkId(entry.id, text), text, special: entry.special === true };
  });
}

/** Tokens in the order of their ids; ids that nobody has become unused tokens. */
function inOrder(
  byId: ReadonlyMap<number, Token>,
): Pick<Vocabulary, "tokens" | "scores" | "types"> {
  let last = -1;
  for (const id of byId.keys()) if (id > last) last = id;
  if (last + 1 > byId.size * 2 + 1024) fail(`ids up to ${last} for ${byId.size} tokens`);
  const tokens: string[] = [];
  const scores: number[] = [];
  const types: number[] = [];
  for (let id = 0; id <= last; id++) {
    const token = byId.get(id);
    tokens.push(token?.text ?? `[PAD${id}]`);
    scores.push(token?.score ?? -1);
    types.push(token?.type ?? tokenTypes.unused);
  }
  return { tokens, scores, types };
}

function vocabEntries(model: JsonObject): [string, number][] {
  if (!isObject(model.vocab)) return fail("model.vocab must be an object");
  return Object.entries(model.vocab).map(([text, id]) => [text, checkId(id, text)]);
}

/** Merges of a whole `tokenizer.json`. @throws ConvertError when it has none */
export function mergesOf(tokenizer: JsonObject): string[] {
  const merges = isObject(tokenizer.model) ? mergesOfModel(tokenizer.model) : [];
  return merges.length > 0 ? merges : fail("model.merges must have entries");
}

/** Merges as `left right`; newer files hold pairs. */
function mergesOfModel(model: JsonObject): string[] {
  const merges = model.merges ?? [];
  if (!Array.isArray(merges)) fail("model.merges must be a list");
  return merges.map((merge) => {
    if (typeof merge === "string") return merge;
    if (Array.isArray(merge) && merge.length === 2) return merge.join(" ");
    return fail("a merge must be a text or a pair");
  });
}

type TypeOf = (text: string) => number;

/** @param scoreOf score of an ordinary token; ids by default, as the reference writes them */
function collect(
  entries: readonly [string, number][],
  added: readonly Added[],
  typeOf: TypeOf = () => tokenTypes.normal,
  scoreOf: (text: string, id: number) => number = (_, id) => id,
): Pick<Vocabulary, "tokens" | "scores" | "types" | "added"> {
  const byId = new Map<number, Token>();
  for (const [text, id] of entries) {
    byId.set(id, { text, score: scoreOf(text, id), type: typeOf(text) });
  }
  for (const { id, text, special } of added) {
    const type = special ? tokenTypes.control : tokenTypes.userDefined;
    byId.set(id, { text, score: scoreOf(text, id), type });
  }
  if (byId.size === 0) fail("no tokens");
  return { ...inOrder(byId), added: new Map(added.map(({ text, id }) => [text, id])) };
}

/**
 * BPE over SentencePiece's pieces. llama.cpp joins the pair with the highest score first, so the rank
 * of a merge, negated, is the score of what it makes.
 */
function byteFallback(model: JsonObject, added: readonly Added[]): Vocabulary {
  const ranks = new Map<string, number>();
  for (const [rank, merge] of mergesOfModel(model).entries()) {
    const text = merge.replace(" ", "");
    if (!ranks.has(text)) ranks.set(text, rank);
  }
  const unknown = String(model.unk_token ?? "<unk>");
  const typeOf = (text: string) => {
    if (/^<0x[0-9A-F]{2}>$/.test(text)) return tokenTypes.byte;
    return text === unknown ? tokenTypes.unknown : tokenTypes.normal;
  };
  const score = (text: string) => -(ranks.get(text) ?? 1e6);
  const vocabulary = collect(vocabEntries(model), added, typeOf, score);
  const unknownId = vocabulary.tokens.indexOf(unknown);
  if (unknownId >= 0) vocabulary.types[unknownId] = tokenTypes.unknown;
  return { model: "llama", pre: "default", ...vocabulary };
}

/** WordPiece: llama.cpp marks beginnings of words, not their continuations. */
function wordPiece(model: JsonObject, added: readonly Added[]): Vocabulary {
  const prefix = String(model.continuing_subword_prefix ?? "##");
  const vocabulary = collect(vocabEntries(model), added);
  const tokens = vocabulary.tokens.map((text) => {
    if (text.startsWith("[") && text.endsWith("]")) return text;
    return text.startsWith(prefix) ? text.slice(prefix.length) : `\u2581${text}`;
  });
  return { model: "bert", pre: "default", ...vocabulary, tokens };
}

/** A step of the normaliser, sequences included. */
function normalizerSteps(value: unknown): JsonObject[] {
  if (!isObject(value)) return [];
  return Array.isArray(value.normalizers) ? value.normalizers.flatMap(normalizerSteps) : [value];
}

function unigram(tokenizer: JsonObject, model: JsonObject, added: readonly Added[]): Vocabulary {
  const { vocab } = model;
  if (!Array.isArray(vocab)) return fail("model.vocab must be a list");
  const scores = new Map<number, number>();
  const entries = vocab.map((entry, id): [string, number] => {
    if (!Array.isArray(entry) || typeof entry[0] !== "string" || !Number.isFinite(entry[1])) {
      return fail(`model.vocab[${id}] must be a text and its score`);
    }
    scores.set(id, Number(entry[1]));
    return [entry[0], id];
  });
  const vocabulary = collect(entries, added, undefined, (_, id) => scores.get(id) ?? -1000);
  const unknown = Number(model.unk_id ?? -1);
  if (unknown in vocabulary.types) vocabulary.types[unknown] = tokenTypes.unknown;
  const steps = normalizerSteps(tokenizer.normalizer);
  const charsmap = steps.find(({ type }) => type === "Precompiled")?.precompiled_charsmap;
  return {
    model: "t5",
    pre: "default",
    ...vocabulary,
    unigram: {
      addSpacePrefix: true,
      removeExtraWhitespaces: steps.some(({ type }) => type === "Replace"),
      charsmap: typeof charsmap === "string" ? Buffer.from(charsmap, "base64") : undefined,
    },
  };
}

/**
 * @param warn hears of what may make texts split differently than in the original
 * @throws ConvertError
 */
export function tokenizerJsonVocabulary(
  tokenizer: JsonObject,
  warn: (text: string) => void,
): Vocabulary {
  const { model } = tokenizer;
  if (!isObject(model)) return fail("model must be an object");
  const added = addedTokens(tokenizer);
  const type = model.type ?? (Array.isArray(model.merges) ? "BPE" : undefined);
  switch (type) {
    case "BPE": {
      if (model.byte_fallback === true) return byteFallback(model, added);
      const pre = preTokenizerOf(tokenizer);
      if (!pre.sure) warn(`unknown pre-tokenizer: "${pre.name}" is the nearest known one`);
      const merges = mergesOfModel(model);
      return { model: "gpt2", pre: pre.name, ...collect(vocabEntries(model), added), merges };
    }
    case "WordPiece":
      return wordPiece(model, added);
    case "Unigram":
      return unigram(tokenizer, model, added);
    default:
      return fail(
        `tokenizers of type ${JSON.stringify(type)} are not supported; supported: BPE, WordPiece, Unigram`,
      );
  }
}

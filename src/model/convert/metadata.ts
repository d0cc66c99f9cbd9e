/** Short spellings of metadata values, and the keys of a vocabulary. */
import type { WriteValue } from "../gguf/writer.ts";
import type { Specials } from "./tokenizer/special-tokens.ts";
import type { Vocabulary } from "./tokenizer/vocabulary.ts";

/** Key → value; keys that are undefined are left out. */
export type Metadata = Record<string, WriteValue | undefined>;

export function u32(value: number): WriteValue {
  return { type: "uint32", value };
}

export function f32(value: number): WriteValue {
  return { type: "float32", value };
}

export function text(value: string): WriteValue {
  return { type: "string", value };
}

export function flag(value: boolean): WriteValue {
  return { type: "bool", value };
}

export function floats(values: readonly number[]): WriteValue {
  return { type: "array", of: "float32", values };
}

export function integers(values: readonly number[]): WriteValue {
  return { type: "array", of: "int32", values };
}

export function texts(values: readonly string[]): WriteValue {
  return { type: "array", of: "string", values };
}

/** A value where there is one. */
export function maybe<T>(value: T | undefined, spell: (value: T) => WriteValue) {
  return value === undefined ? undefined : spell(value);
}

/** Puts an architecture's prefix before keys. */
export function under(architecture: string, metadata: Metadata): Metadata {
  return Object.fromEntries(
    Object.entries(metadata).map(([key, value]) => [`${architecture}.${key}`, value]),
  );
}

export function tokenizerMetadata(vocabulary: Vocabulary, specials: Specials): Metadata {
  const { unigram } = vocabulary;
  const metadata: Metadata = {
    model: text(vocabulary.model),
    pre: text(vocabulary.pre),
    tokens: texts(vocabulary.tokens),
    scores: floats(vocabulary.scores),
    token_type: integers(vocabulary.types),
    merges: maybe(vocabulary.merges, texts),
    add_space_prefix: maybe(unigram?.addSpacePrefix, flag),
    remove_extra_whitespaces: maybe(unigram?.removeExtraWhitespaces, flag),
    precompiled_charsmap: maybe(unigram?.charsmap, (bytes) => ({
      type: "array",
      of: "uint8",
      values: bytes,
    })),
  };
  for (const [name, id] of specials.ids) metadata[`${name}_token_id`] = u32(id);
  for (const [name, add] of specials.adds) {
    metadata[`add_${addSpelling[name] ?? name}_token`] = flag(add);
  }
  for (const [name, ids] of specials.lists) metadata[`${name}_token_ids`] = integers(ids);
  return {
    ...under("tokenizer.ggml", metadata),
    "tokenizer.chat_template": maybe(specials.chatTemplate, text),
  };
}

/** llama.cpp spells these short, and does not know the others. */
const addSpelling: Readonly<Record<string, string>> = {
  unknown: "unk",
  seperator: "sep",
  padding: "pad",
};

/**
 * Which of llama.cpp's pre-tokenizers a `tokenizer.json` means. Told by the expressions that its
 * pre-tokenizer splits with; where an expression is unknown, texts would be split wrongly without any
 * error, so the nearest known one is taken and said.
 */
import { isObject } from "../source.ts";

const contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const tail = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const word = "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+";
const marks = " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*";
const upper = "\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}";
const lower = "\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}";
const cased = (end: string) =>
  `[^\\r\\n\\p{L}\\p{N}]?[${upper}]*[${lower}]+${end}|[^\\r\\n\\p{L}\\p{N}]?[${upper}]+[${lower}]*${end}`;

/** Expressions of a sequence, joined by blanks, → name. The names are llama.cpp's (llama-vocab.cpp). */
const known: Readonly<Record<string, string>> = {
  [`${contraction}|${word}|\\p{N}{1,3}|${marks}|${tail}`]: "llama-bpe",
  [`${contraction}|${word}|\\p{N}|${marks}|${tail}`]: "qwen2",
  [`${contraction}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${tail}`]:
    "qwen35",
  [`${cased(`${contraction}?`)}|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${tail}`]: "gpt-4o",
  [`${cased("")}|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${tail}`]: "tekken",
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+": "gpt-2",
  "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+":
    "llama-bpe",
  "\\p{N}{1,3} [一-龥぀-ゟ゠-ヿ]+ [!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+":
    "deepseek-v3",
};

/** First split of a sequence that has several, enough to tell these families. */
const families: readonly (readonly [test: RegExp, name: string])[] = [
  [/^\[\\r\\n\] \\s\?\\p\{L\}\+ \\s\?\\p\{P\}\+/, "deepseek-coder"],
  [/^\[\\r\\n\] \\s\?\[A-Za-z/, "deepseek-llm"],
];

export interface PreTokenizer {
  readonly name: string;
  /** False when the name is a guess. */
  readonly sure: boolean;
}

/** Steps of a pre-tokenizer, sequences flattened. */
function steps(value: unknown): Readonly<Record<string, unknown>>[] {
  if (!isObject(value)) return [];
  const inner = value.pretokenizers;
  return Array.isArray(inner) ? inner.flatMap(steps) : [value];
}

/** @param tokenizer the whole `tokenizer.json` */
export function preTokenizerOf(tokenizer: Readonly<Record<string, unknown>>): PreTokenizer {
  const all = steps(tokenizer.pre_tokenizer);
  const splits = all.flatMap(({ type, pattern }) =>
    type === "Split" && isObject(pattern) ? [String(pattern.Regex ?? pattern.String ?? "")] : [],
  );
  if (splits.length > 0) {
    // Some files write line ends as they are, others as escapes.
    const joined = splits.join(" ").replaceAll("\r", "\\r").replaceAll("\n", "\\n");
    const name = known[joined] ?? families.find(([test]) => test.test(joined))?.[1];
    if (name !== undefined) return { name, sure: true };
    const digits = joined.includes("\\p{N}{1,3}") ? "llama-bpe" : "qwen2";
    return { name: digits, sure: false };
  }
  const digits = all.find(({ type }) => type === "Digits");
  const bytes = all.find(({ type }) => type === "ByteLevel");
  if (bytes === undefined) return { name: "default", sure: true };
  if (digits?.individual_digits === true) return { name: "starcoder", sure: true };
  // GPT-2's own expression is built into the byte-level step.
  return bytes.use_regex === false
    ? { name: "default", sure: false }
    : { name: "gpt-2", sure: digits === undefined };
}

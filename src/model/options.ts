/**
 * `options` of requests and `PARAMETER`s of Modelfiles: kinds, defaults, errors (api.md 4,
 * modelfile.md 4). Resolved once: defaults < the model's parameters < the request.
 */
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { ModelfileError, OptionError } from "../errors.ts";
import { shortFloat32 } from "./gojson.ts";

/** How tokens to come are guessed: not at all, by n-grams of what came before, by the draft model. */
const DraftOption = t.Union([t.Literal("none"), t.Literal("ngram"), t.Literal("model")]);
export type DraftOption = Static<typeof DraftOption>;

/** All options, resolved. `undefined` = left to the engine. */
export interface RunOptions {
  num_ctx: number;
  num_batch: number;
  num_gpu: number;
  main_gpu: number | undefined;
  use_mmap: boolean | undefined;
  num_thread: number;
  draft_num_predict: number;
  num_keep: number;
  seed: number;
  num_predict: number;
  top_k: number;
  top_p: number;
  min_p: number;
  typical_p: number;
  repeat_last_n: number;
  temperature: number;
  repeat_penalty: number;
  presence_penalty: number;
  frequency_penalty: number;
  stop: readonly string[] | undefined;
  mirostat: number;
  mirostat_tau: number;
  mirostat_eta: number;
  /** hutch's own; absent = by the draft model where the model has one. */
  draft?: DraftOption;
}

type Kind = "integer" | "float32" | "boolean" | "array" | "draft";

const kinds: Readonly<Required<Record<keyof RunOptions, Kind>>> = {
  num_ctx: "integer",
  num_batch: "integer",
  num_gpu: "integer",
  main_gpu: "integer",
  use_mmap: "boolean",
  num_thread: "integer",
  draft_num_predict: "integer",
  num_keep: "integer",
  seed: "integer",
  num_predict: "integer",
  top_k: "integer",
  top_p: "float32",
  min_p: "float32",
  typical_p: "float32",
  repeat_last_n: "integer",
  temperature: "float32",
  repeat_penalty: "float32",
  presence_penalty: "float32",
  frequency_penalty: "float32",
  stop: "array",
  mirostat: "integer",
  mirostat_tau: "float32",
  mirostat_eta: "float32",
  draft: "draft",
};

/** Honoured when they fit and never an error: they come from older versions (api.md 14). */
const lenient: ReadonlySet<string> = new Set(["mirostat", "mirostat_tau", "mirostat_eta"]);

/** Options of older versions, accepted without effect. */
export const retiredOptions: ReadonlySet<string> = new Set([
  "numa",
  "low_vram",
  "f16_kv",
  "logits_all",
  "vocab_only",
  "use_mlock",
  "embedding_only",
  "tfs_z",
  "penalize_newline",
]);

/** Values when neither model nor request says anything; `num_ctx` 0 = decided at load. */
export const defaultOptions: Readonly<RunOptions> = {
  num_ctx: 0,
  num_batch: 512,
  num_gpu: -1,
  main_gpu: undefined,
  use_mmap: undefined,
  num_thread: 0,
  draft_num_predict: 4,
  num_keep: 4,
  seed: -1,
  num_predict: -1,
  top_k: 40,
  top_p: 0.9,
  min_p: 0,
  typical_p: 1,
  repeat_last_n: 64,
  temperature: 0.8,
  repeat_penalty: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  stop: undefined,
  mirostat: 0,
  mirostat_tau: 5,
  mirostat_eta: 0.1,
};

const draftWords = DraftOption.anyOf.map((word) => `"${word.const}"`).join(", ");

function typed(key: string, kind: Kind, value: unknown): number | boolean | string | string[] {
  switch (kind) {
    case "integer":
      if (typeof value === "number" && Number.isFinite(value)) return Math.trunc(value) + 0;
      if (typeof value === "bigint") return Number(value);
      break;
    case "float32":
      if (typeof value === "number") return shortFloat32(value);
      break;
    case "boolean":
      if (typeof value === "boolean") return value;
      break;
    case "array":
      if (!Array.isArray(value)) break;
      if (value.every((item) => typeof item === "string")) return value;
      throw new OptionError(`option "${key}" must be of an array of strings`);
    case "draft":
      if (Value.Check(DraftOption, value)) return value;
      if (typeof value !== "string")
        throw new OptionError(`option "${key}" must be of type string`);
      throw new OptionError(`option "${key}" must be one of ${draftWords}`);
  }
  throw new OptionError(`option "${key}" must be of type ${kind}`);
}

export interface ResolvedOptions {
  readonly options: RunOptions;
  /** Which were given, by the model or by the request. */
  readonly given: ReadonlySet<keyof RunOptions>;
  /** Keys that mean nothing, to be logged. */
  readonly unknown: readonly string[];
}

/**
 * Applies layers of options over the defaults, later ones winning; `null` is not given.
 * @throws OptionError naming the option and the kind it must have
 */
export function resolveOptions(
  ...layers: readonly (Readonly<Record<string, unknown>> | undefined)[]
): ResolvedOptions {
  const options: Record<string, unknown> = { ...defaultOptions };
  const given = new Set<keyof RunOptions>();
  const unknown: string[] = [];
  for (const layer of layers) {
    for (const [key, value] of Object.entries(layer ?? {})) {
      if (value === null || value === undefined) continue;
      if (!Object.hasOwn(kinds, key)) {
        if (!retiredOptions.has(key)) unknown.push(key);
        continue;
      }
      const name = key as keyof RunOptions;
      if (lenient.has(key) && typeof value !== "number") continue;
      options[name] = typed(key, kinds[name], value);
      given.add(name);
    }
  }
  return { options: options as unknown as RunOptions, given, unknown };
}

const booleanWords: Readonly<Record<string, boolean>> = Object.fromEntries([
  ...["1", "t", "T", "true", "TRUE", "True"].map((word) => [word, true]),
  ...["0", "f", "F", "false", "FALSE", "False"].map((word) => [word, false]),
]);

/** A float as Go's parser reads it: decimal and hexadecimal forms, infinities, NaN. */
function parseGoFloat(text: string): number | undefined {
  const plain = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  if (plain.test(text)) return Number(text);
  const hex = /^([+-]?)0x([0-9a-f]*)\.?([0-9a-f]*)p([+-]?\d+)$/i.exec(text);
  if (hex !== null && `${hex[2]}${hex[3]}` !== "") {
    const digits = Number.parseInt(`${hex[2]}${hex[3]}`, 16);
    const value = digits * 2 ** (Number(hex[4]) - 4 * (hex[3]?.length ?? 0));
    return hex[1] === "-" ? -value : value;
  }
  const word = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (word === null) return undefined;
  if (word[2]?.toLowerCase() === "nan") return Number.NaN;
  return word[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** Parameters of Modelfiles that Ollama drops with a warning (modelfile.md 4). */
export const deprecatedParameters: ReadonlySet<string> = new Set([
  "penalize_newline",
  "low_vram",
  "f16_kv",
  "logits_all",
  "vocab_only",
  "use_mlock",
  "mirostat",
  "mirostat_tau",
  "mirostat_eta",
]);

/**
 * The typed value of a Modelfile's `PARAMETER` lines of one name.
 * @param values texts in file order; all count for `stop`, the first for others
 * @throws ModelfileError with Ollama's words
 */
export function typeParameter(name: string, values: readonly string[]): unknown {
  const kind = Object.hasOwn(kinds, name) ? kinds[name as keyof RunOptions] : undefined;
  const text = values[0] ?? "";
  const shown = `[${values.join(" ")}]`;
  switch (kind) {
    case undefined:
      throw new ModelfileError(`unknown parameter '${name}'`);
    case "array":
      return [...values];
    case "draft":
      if (Value.Check(DraftOption, text)) return text;
      throw new ModelfileError(`invalid draft value ${shown}`);
    case "boolean":
      if (Object.hasOwn(booleanWords, text)) return booleanWords[text];
      throw new ModelfileError(`invalid bool value ${shown}`);
    case "integer": {
      if (!/^[+-]?\d+$/.test(text)) throw new ModelfileError(`invalid int value ${shown}`);
      const value = BigInt(text.replace(/^\+/, ""));
      if (BigInt.asIntN(64, value) !== value) {
        throw new ModelfileError(`invalid int value ${shown}`);
      }
      return Number.isSafeInteger(Number(value)) ? Number(value) : value;
    }
    case "float32": {
      const value = parseGoFloat(text.replace(/(?<=[0-9a-f])_(?=[0-9a-f])/gi, ""));
      const finite = value !== undefined && Number.isFinite(value);
      if (value === undefined || (finite && !Number.isFinite(Math.fround(value)))) {
        throw new ModelfileError(`invalid float value ${shown}`);
      }
      if (finite) return shortFloat32(value);
      const word = Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
      throw new ModelfileError(`json: unsupported value: ${word}`);
    }
  }
}

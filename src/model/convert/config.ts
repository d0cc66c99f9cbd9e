/**
 * Reads `config.json` field by field. Everything a converter divides by, multiplies or allocates comes
 * from here, so every number has a range, and an error names file, field and value.
 */
import { ConvertError } from "../../errors.ts";
import { isObject, type JsonObject } from "./source.ts";

/** Largest number of anything that a model may have. */
const mostWhole = 2 ** 31 - 1;

export class Config {
  readonly #json: JsonObject;
  readonly #file: string;

  /** @param file name for messages; with a path for nested objects */
  constructor(json: JsonObject, file = "config.json") {
    this.#json = json;
    this.#file = file;
  }

  #fail(name: string, value: unknown, wanted: string): never {
    const shown = JSON.stringify(value) ?? "missing";
    throw new ConvertError(`${this.#file}: ${name} must be ${wanted}, not ${shown.slice(0, 80)}`);
  }

  #find(names: readonly string[]): { name: string; value: unknown } {
    for (const name of names) {
      const value = this.#json[name];
      if (value !== undefined && value !== null) return { name, value };
    }
    return { name: names[0] ?? "", value: undefined };
  }

  has(name: string): boolean {
    return this.#json[name] !== undefined && this.#json[name] !== null;
  }

  raw(name: string): unknown {
    return this.#json[name];
  }

  /** A whole number of at least 1. @param names spellings, first one first */
  whole(...names: string[]): number {
    const { name, value } = this.#find(names);
    if (!Number.isInteger(value) || Number(value) < 1 || Number(value) > mostWhole) {
      this.#fail(name, value, "a whole number above 0");
    }
    return Number(value);
  }

  /** As `whole`, undefined when the field is missing. */
  maybeWhole(...names: string[]): number | undefined {
    return this.#find(names).value === undefined ? undefined : this.whole(...names);
  }

  /** A whole number of at least 0; undefined when the field is missing. */
  maybeCount(name: string): number | undefined {
    const value = this.#json[name];
    if (value === undefined || value === null) return undefined;
    if (!Number.isInteger(value) || Number(value) < 0 || Number(value) > mostWhole) {
      this.#fail(name, value, "a whole number");
    }
    return Number(value);
  }

  /** A finite number. */
  number(name: string, fallback?: number): number {
    const value = this.#json[name] ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) this.#fail(name, value, "a number");
    return value;
  }

  maybeNumber(name: string): number | undefined {
    return this.has(name) ? this.number(name) : undefined;
  }

  text(name: string): string | undefined {
    const value = this.#json[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== "string") this.#fail(name, value, "a text");
    return value;
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.#json[name] ?? fallback;
    if (typeof value !== "boolean") this.#fail(name, value, "true or false");
    return value;
  }

  maybeFlag(name: string): boolean | undefined {
    return this.has(name) ? this.flag(name, false) : undefined;
  }

  numbers(name: string): number[] | undefined {
    const value = this.#json[name];
    if (value === undefined || value === null) return undefined;
    if (!Array.isArray(value) || !value.every((item) => Number.isFinite(item))) {
      this.#fail(name, value, "a list of numbers");
    }
    return value as number[];
  }

  texts(name: string): string[] | undefined {
    const value = this.#json[name];
    if (value === undefined || value === null) return undefined;
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
      this.#fail(name, value, "a list of texts");
    }
    return value as string[];
  }

  /** A nested object; undefined when it is missing. */
  object(name: string): Config | undefined {
    const value = this.#json[name];
    if (value === undefined || value === null) return undefined;
    if (!isObject(value)) this.#fail(name, value, "an object");
    return new Config(value, `${this.#file}: ${name}`);
  }

  /** This object over one with defaults. */
  over(defaults: JsonObject): Config {
    const given = Object.entries(this.#json).filter(([, value]) => value !== null);
    return new Config({ ...defaults, ...Object.fromEntries(given) }, this.#file);
  }

  /** This object with some fields replaced. */
  with(values: JsonObject): Config {
    return new Config({ ...this.#json, ...values }, this.#file);
  }

  /** This object with the fields of a nested one over it (models that see keep their text part there). */
  merged(name: string): Config {
    const value = this.#json[name];
    return isObject(value) ? new Config({ ...this.#json, ...value }, this.#file) : this;
  }
}

/** Heads and their sizes, every divisor checked. */
export interface Attention {
  readonly width: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** @throws ConvertError when the width cannot be split among the heads */
export function attentionOf(config: Config): Attention {
  const width = config.whole("hidden_size", "n_embd");
  const heads = config.whole("num_attention_heads", "n_head");
  const kvHeads = config.maybeWhole("num_key_value_heads") ?? heads;
  const given = config.maybeWhole("head_dim");
  if (given === undefined && width % heads !== 0) {
    throw new ConvertError(
      `config.json: hidden_size ${width} is no multiple of num_attention_heads ${heads}`,
    );
  }
  if (heads % kvHeads !== 0) {
    throw new ConvertError(
      `config.json: num_attention_heads ${heads} is no multiple of num_key_value_heads ${kvHeads}`,
    );
  }
  return { width, heads, kvHeads, headDim: given ?? width / heads };
}

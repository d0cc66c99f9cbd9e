/** The files of a model that is to be converted, by the names of its folder, and their JSON. */
import { readFileSync, statSync } from "node:fs";
import { ConvertError, errorMessage } from "../../errors.ts";

/** Largest JSON file that is read, bytes; the largest tokenizers have about 40 MB. */
const largestJson = 256 * 2 ** 20;

/** Any JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export class SourceFiles {
  readonly #paths: ReadonlyMap<string, string>;

  /** @param paths name in the model's folder (with `/`) → absolute path */
  constructor(paths: Readonly<Record<string, string>>) {
    this.#paths = new Map(Object.entries(paths));
  }

  get names(): string[] {
    return [...this.#paths.keys()].sort();
  }

  has(name: string): boolean {
    return this.#paths.has(name);
  }

  /** @throws ConvertError in the words of a missing file */
  path(name: string): string {
    const path = this.#paths.get(name);
    if (path === undefined) throw new ConvertError(`open ${name}: no such file or directory`);
    return path;
  }

  bytes(name: string): Buffer {
    const path = this.path(name);
    const { size } = statSync(path);
    if (size > largestJson) {
      throw new ConvertError(`read ${name}: ${size} bytes are more than ${largestJson}`);
    }
    return readFileSync(path);
  }

  /** @throws ConvertError when it is missing, too large or no JSON */
  json(name: string): unknown {
    const text = this.bytes(name).toString("utf8");
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new ConvertError(`parse ${name}: ${errorMessage(cause)}`, { cause });
    }
  }

  /** @throws ConvertError when it is no JSON object */
  object(name: string): JsonObject {
    const value = this.json(name);
    if (!isObject(value)) throw new ConvertError(`parse ${name}: must be a JSON object`);
    return value;
  }

  /** An object, or undefined when there is no such file. */
  optional(name: string): JsonObject | undefined {
    return this.has(name) ? this.object(name) : undefined;
  }
}

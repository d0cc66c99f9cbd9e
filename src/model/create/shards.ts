/** Shards of a GGUF: whose they are, and whether all are there (create.md 4). */
import { InvalidRequestError } from "../../errors.ts";
import type { GgufHead } from "../gguf/reader.ts";

export interface Shard {
  readonly file: string;
  readonly path: string;
  readonly prefix: string;
  /** From 0. */
  readonly index: number;
  readonly count: number;
}

const pattern = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/;

function whole(head: GgufHead, key: string): number {
  const value = head.metadata.get(key);
  return value === undefined || value.type === "array" ? -1 : Number(value.value);
}

/** @throws InvalidRequestError when name and metadata disagree */
export function checkShard(file: string, path: string, head: GgufHead): Shard {
  const [, prefix = "", number, of] = pattern.exec(file) ?? [];
  if (number === undefined) {
    throw new InvalidRequestError(`split GGUF "${file}" must use llama.cpp split filename pattern`);
  }
  const count = whole(head, "split.count");
  const index = whole(head, "split.no");
  if (Number(of) !== count) {
    throw new InvalidRequestError(
      `split GGUF "${file}" filename count ${Number(of)} does not match metadata count ${count}`,
    );
  }
  if (Number(number) - 1 !== index) {
    throw new InvalidRequestError(
      `split GGUF "${file}" filename index ${Number(number) - 1} does not match metadata index ${index}`,
    );
  }
  return { file, path, prefix, index, count };
}

/** Paths of each model's shards, in order. @throws InvalidRequestError when some are missing */
export function completeShards(shards: readonly Shard[]): string[][] {
  const groups = new Map<string, Shard[]>();
  for (const shard of shards) {
    groups.set(shard.prefix, [...(groups.get(shard.prefix) ?? []), shard]);
  }
  return [...groups.values()].map((group) => {
    const sorted = group.toSorted((a, b) => a.index - b.index);
    const [first] = sorted;
    if (first !== undefined && sorted.length !== first.count) {
      throw new InvalidRequestError(
        `split GGUF "${first.file}" has ${sorted.length} shards, expected ${first.count}`,
      );
    }
    for (const [index, shard] of sorted.entries()) {
      if (shard.index > index) {
        throw new InvalidRequestError(`split GGUF "${shard.file}" is missing shard ${index}`);
      }
      if (shard.index < index) {
        throw new InvalidRequestError(`split GGUF has duplicate shard index ${shard.index}`);
      }
    }
    return sorted.map(({ path }) => path);
  });
}

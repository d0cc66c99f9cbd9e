/** Damages GGUF files at random but repeatably: the same seed gives the same files. */
import { writeFileSync } from "node:fs";
import { GgufError } from "../../src/errors.ts";
import { checkGguf } from "../../src/model/gguf/check.ts";

/** Numbers that break counts, lengths and offsets. */
const extremes = [
  0n,
  1n,
  31n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  2n ** 32n,
  2n ** 53n + 1n,
  2n ** 62n,
  2n ** 63n,
  2n ** 64n - 32n,
  2n ** 64n - 1n,
];

/** Whole numbers below a bound (mulberry32). */
export function random(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}

/** Places where numbers stand are hit more often by multiples of four near the start. */
function place(size: number, next: (bound: number) => number): number {
  return next(3) === 0 ? next(size) : next(Math.min(size, 1024));
}

/** One to four changes: bits, bytes, 32- and 64-bit numbers, pieces cut out, doubled or exchanged. */
export function mutated(original: Uint8Array, next: (bound: number) => number): Buffer {
  let bytes = Buffer.from(original);
  for (let change = next(4); change >= 0; change--) {
    const at = place(bytes.length, next);
    const extreme = extremes[next(extremes.length)] ?? 0n;
    switch (next(8)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << next(8));
        break;
      case 1:
        bytes[at] = next(256);
        break;
      case 2:
        if (at + 4 <= bytes.length) bytes.writeUInt32LE(Number(extreme & 0xffffffffn), at);
        break;
      case 3:
        if (at + 8 <= bytes.length) bytes.writeBigUInt64LE(extreme, at);
        break;
      case 4:
        bytes = bytes.subarray(0, at);
        break;
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + next(64))]);
        break;
      case 6:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - next(64)))]);
        break;
      default:
        bytes.copy(bytes, at, place(bytes.length, next));
    }
    if (bytes.length === 0) return bytes;
  }
  return bytes;
}

/** What the checker did with damaged files. */
export interface Verdicts {
  accepted: number;
  refused: number;
  /** Files that took longer than a second, and errors that are no `GgufError`: there must be none. */
  readonly wrong: string[];
}

/** Checks `count` mutations of the originals, each written to `path`. */
export function checkMutations(
  originals: readonly Uint8Array[],
  count: number,
  seed: number,
  path: string,
): Verdicts {
  const next = random(seed);
  const verdicts: Verdicts = { accepted: 0, refused: 0, wrong: [] };
  for (let i = 0; i < count; i++) {
    writeFileSync(path, mutated(originals[i % originals.length] ?? new Uint8Array(), next));
    const since = performance.now();
    try {
      checkGguf(path);
      verdicts.accepted++;
    } catch (error) {
      if (error instanceof GgufError && error.message !== "") verdicts.refused++;
      else verdicts.wrong.push(`mutation ${i} of seed ${seed}: ${error}`);
    }
    const ms = performance.now() - since;
    if (ms > 1000) verdicts.wrong.push(`mutation ${i} of seed ${seed} took ${Math.round(ms)} ms`);
  }
  return verdicts;
}

/**
 * Whether there is memory for a model: pure decisions over what models were foretold to take.
 * `pool.ts` acts on them.
 */
import type { LoadedModelInfo } from "../engine/engine.ts";
import { fewSlots } from "../slots.ts";
import type { MemoryNeed } from "./scheduler.ts";

/** What all loaded models may take together. */
export type MemoryLimit =
  /** The user's promise: never more than this. */
  | { readonly kind: "promised"; readonly bytes: number }
  /** What the machine has, and what of it could be had right now. */
  | { readonly kind: "machine"; readonly total: number; readonly available: number };

/** What a loaded model takes, bytes. */
export interface Holding {
  /** With all slots, while it grows. */
  readonly peak: number;
  /** At present, of the machine's memory. */
  readonly now: number;
  /** In memory of GPUs, which the machine has besides. */
  readonly gpu: number;
}

/**
 * What a loaded model takes.
 * @param resident bytes of its process, undefined where nobody tells
 */
export function holdingOf(
  { memory, gpuSharesMemory }: Pick<LoadedModelInfo, "memory" | "gpuSharesMemory">,
  peak: number,
  resident: number | undefined,
): Holding {
  const gpu = gpuSharesMemory ? 0 : memory.gpu;
  const host = memory.total - gpu;
  // Cells that hold nothing are counted, but not taken yet.
  return { peak, now: Math.min(host, resident ?? host), gpu };
}

/** Bytes left for one more model. Loaded ones may grow: all that they may still take is theirs. */
export function roomFor(limit: MemoryLimit, others: readonly Holding[]): number {
  const sumOf = (bytes: (of: Holding) => number) => others.reduce((sum, of) => sum + bytes(of), 0);
  if (limit.kind === "promised") return limit.bytes - sumOf(({ peak }) => peak);
  const growth = sumOf(({ peak, now, gpu }) => Math.max(0, peak - gpu - now));
  return Math.min(limit.total - sumOf(({ peak, gpu }) => peak - gpu), limit.available - growth);
}

export type Admission =
  | { readonly kind: "load"; readonly slots: number }
  /** Another model has to go first. */
  | { readonly kind: "evict" }
  | { readonly kind: "refuse"; readonly need: MemoryNeed; readonly limit: number };

/**
 * Whether a model is loaded now, and with how many slots. Without a promise the only model is always
 * tried: what is available is an estimate, and the kernel has more to give than it says.
 *
 * @param wanted slots
 * @param fixed whether the user chose their number; else fewer will do
 */
export function admit(
  limit: MemoryLimit,
  others: readonly Holding[],
  need: (slots: number) => MemoryNeed,
  wanted: number,
  fixed: boolean,
): Admission {
  const most = (bytes: number): number => {
    if (fixed) return need(wanted).peak <= bytes ? wanted : 0;
    let slots = wanted;
    while (slots > 0 && need(slots).peak > bytes) slots--;
    return slots;
  };
  const slots = most(roomFor(limit, others));
  // Fewer than a few are no reason to keep another model that nobody uses.
  if (slots >= Math.min(wanted, fewSlots)) return { kind: "load", slots };
  const alone = limit.kind === "promised" ? limit.bytes : undefined;
  if (alone !== undefined && most(alone) === 0) {
    return { kind: "refuse", need: need(fixed ? wanted : 1), limit: alone };
  }
  if (others.length > 0) return { kind: "evict" };
  return { kind: "load", slots: Math.max(slots, fixed ? wanted : 1) };
}

/** Slots of a model that would be loaded now as the only one; of one that cannot be, those of its smallest load. */
export function slotsAlone(
  limit: MemoryLimit,
  need: (slots: number) => MemoryNeed,
  wanted: number,
  fixed: boolean,
): number {
  const answer = admit(limit, [], need, wanted, fixed);
  return answer.kind === "load" ? answer.slots : fixed ? wanted : 1;
}

const giB = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
const miB = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Why a model is refused, in the words that Ollama's clients look for, and its bill. */
export function refusal({ peak, lines }: MemoryNeed, limit: number): string {
  const unit = Math.max(peak, limit) >= 2 ** 30 ? giB : miB;
  const bill = lines.map(({ what, bytes }) => `${what} ${unit(bytes)}`).join(", ");
  const sum = `model requires more system memory (${unit(peak)}) than is available (${unit(limit)})`;
  return `${sum}: ${bill}`;
}

/**
 * What the next step evaluates: a pure function of what the slots want. A step is either one of decoding
 * slots, a row each, those that waited longest when not all are worth a row; or one of prompts, oldest
 * first, for a bounded time. The two take turns, so that no running stream waits for more than one chunk
 * of prompts; answers that have just begun wait for those that can begin with them. They are not mixed:
 * every sequence has cells of its own, and libllama evaluates sequences with one token and with many in
 * separate passes anyway.
 */
import type { Piece, PromptCosts } from "./prompt-costs.ts";

/** What one busy slot wants of the next step. */
export interface Want {
  /** Index of the slot. */
  readonly slot: number;
  /** Tokens of its prompt not yet evaluated; 0 = it decodes. */
  readonly promptLeft: number;
  /** Tokens of its prompt that are evaluated. */
  readonly evaluated: number;
  /** Tokens that a decoding slot has to evaluate, 1 when absent; a constraint may force several. */
  readonly pending?: number;
  /** Order of arrival: smaller is older. */
  readonly order: number;
  /** Number of the step that it was last part of: smaller waits longer. */
  readonly served: number;
  /** Seconds since its first token, while that is its only one. */
  readonly begun?: number;
}

export interface Share {
  readonly slot: number;
  /** Tokens of this slot in the step. */
  readonly count: number;
}

/** What a step may take. */
export interface StepLimits {
  /** Most tokens. */
  readonly batchSize: number;
  /** Most decoding slots. */
  readonly rows: number;
  /** The last step evaluated prompts: those that decode are next. */
  readonly decodeNext: boolean;
  /** How long prompts may take, seconds. */
  readonly seconds: number;
  /** How long a single piece may take instead when it is much faster so, seconds. */
  readonly longest: number;
  readonly costs: Pick<PromptCosts, "seconds" | "piece">;
}

export function planStep(wants: readonly Want[], limits: StepLimits): Share[] {
  const decoding = wants.filter(({ promptLeft }) => promptLeft === 0);
  const prompts = wants.filter(({ promptLeft }) => promptLeft > 0);
  const pieces = promptPieces(prompts, limits);
  const turn = limits.decodeNext && !beginTogether(decoding, prompts, pieces, limits);
  const decodes = decoding.length > 0 && (turn || prompts.length === 0);
  const shares = decodes ? decodeRows(decoding, limits) : pieces;
  // Rows of neighbouring sequences are evaluated in one pass, in this order only.
  return shares.sort((a, b) => a.slot - b.slot);
}

function decodeRows(decoding: Want[], { rows, batchSize }: StepLimits): Share[] {
  const due = decoding.sort((a, b) => a.served - b.served).slice(0, Math.min(rows, batchSize));
  let spare = batchSize - due.length;
  return due.map(({ slot, pending = 1 }) => {
    const more = Math.min(Math.max(0, pending - 1), spare);
    spare -= more;
    return { slot, count: 1 + more };
  });
}

/**
 * How long prompts may take together that end in a step, seconds: for each of them somebody gets a first
 * token, which is worth more than the next one of a running stream a little sooner.
 */
const endSeconds = 0.25;

function promptPieces(
  prompts: Want[],
  { batchSize, seconds, longest, costs }: StepLimits,
): Share[] {
  const shares: Share[] = [];
  let spare = batchSize;
  let used = 0;
  for (const { slot, promptLeft, evaluated } of prompts.sort((a, b) => a.order - b.order)) {
    const ends = used + costs.seconds(promptLeft, evaluated) <= endSeconds;
    const alone = shares.length === 0 ? longest : undefined;
    const piece = () => costs.piece(promptLeft, evaluated, seconds - used, alone);
    const count = Math.min(spare, ends ? promptLeft : piece());
    if (count <= 0) break;
    shares.push({ slot, count });
    spare -= count;
    used += costs.seconds(count, evaluated);
  }
  return shares;
}

/** Answers that have just begun wait so long for others, seconds. */
const togetherSeconds = 1;

/**
 * Whether the decoding slots let prompts by once more: all of them have just begun, and others that came
 * at the same time can begin now. Requests that come together then get their first tokens one after the
 * other, without steps between that would be slow for their few rows.
 */
function beginTogether(
  decoding: readonly Want[],
  prompts: readonly Want[],
  pieces: readonly Share[],
  { costs }: StepLimits,
): boolean {
  const due = promptsOf(prompts, pieces);
  const next = secondsOf(due, costs);
  return (
    due.some(({ ends }) => ends) &&
    decoding.every(({ begun = togetherSeconds }) => begun + next <= togetherSeconds)
  );
}

/** A piece of a prompt in a step. */
export interface PromptPiece extends Piece {
  /** The prompt ends with it. */
  readonly ends: boolean;
}

/** The prompts' part of a step. */
export function promptsOf(wants: readonly Want[], shares: readonly Share[]): PromptPiece[] {
  return shares.flatMap(({ slot, count }) => {
    const want = wants.find((other) => other.slot === slot);
    return want === undefined || want.promptLeft === 0
      ? []
      : [{ count, evaluated: want.evaluated, ends: count === want.promptLeft }];
  });
}

function secondsOf(pieces: readonly Piece[], costs: Pick<PromptCosts, "seconds">): number {
  return pieces.reduce((sum, { count, evaluated }) => sum + costs.seconds(count, evaluated), 0);
}

/**
 * Whether a step may end early when somebody wants to be heard: one of prompts. Not when all of them end in
 * it and are known to end soon: requests that come together would throw away each other's work, to be heard
 * no sooner.
 */
export function worthInterrupting(
  pieces: readonly PromptPiece[],
  costs: Pick<PromptCosts, "seconds" | "knows">,
): boolean {
  const end = pieces.every((piece) => piece.ends && costs.knows(piece));
  return pieces.length > 0 && !(end && secondsOf(pieces, costs) <= endSeconds);
}

/** A running stream's next token comes after so many seconds at most while prompts are evaluated, where the machine can do it. */
const tokenSeconds = 0.25;

/**
 * How long the prompts of a step may take, seconds: cancels and new work are seen between steps only,
 * and running streams wait.
 *
 * @param decodeSeconds what a step of the running streams takes; 0 = there are none
 */
export function promptSeconds(decodeSeconds: number): number {
  return Math.min(0.2, Math.max(0.05, tokenSeconds - decodeSeconds));
}

/** A step that is interrupted when somebody wants to be heard may take so long, seconds. */
const interruptibleSeconds = 0.5;
/** Others may take so long. */
const heardSeconds = 0.25;

/**
 * How long a piece of a prompt may take where it is much faster than smaller ones, seconds. What was
 * interrupted goes on in small pieces, which end by themselves: so it goes on however often others come.
 *
 * @param interruptible steps can be interrupted, and the last one was not
 */
export function longestSeconds(interruptible: boolean): number {
  return interruptible ? interruptibleSeconds : heardSeconds;
}

/** Prompt tokens of a step where results must not depend on what else runs: always the same. */
export const fixedChunk = 32;

/**
 * The next step for a single slot, so that its rows are the same whatever else is asked for: its prompt
 * in chunks that begin at multiples of `fixedChunk`, then what it decodes. The slot that waited longest;
 * of those with a prompt only the oldest takes part, so that no stream waits for more than one chunk.
 *
 * @param batchSize most tokens of a step
 */
export function planAlone(wants: readonly Want[], batchSize: number): Share[] {
  const [oldest] = wants
    .filter(({ promptLeft }) => promptLeft > 0)
    .sort((a, b) => a.order - b.order);
  const [next] = wants
    .filter((want) => want.promptLeft === 0 || want === oldest)
    .sort((a, b) => a.served - b.served || a.order - b.order);
  if (next === undefined) return [];
  const { slot, promptLeft, evaluated, pending = 1 } = next;
  if (promptLeft === 0) return [{ slot, count: Math.min(Math.max(1, pending), batchSize) }];
  const chunk = Math.min(fixedChunk, batchSize);
  return [{ slot, count: Math.min(promptLeft, chunk - (evaluated % chunk)) }];
}

/**
 * Tokens of a step of embeddings or images, from the measured speed: a step stays short enough for
 * cancels and new work to be seen within 250 ms, shorter while others wait for their next token.
 *
 * @param tokensPerSecond speed of evaluating prompts
 * @param othersDecode whether running streams wait for this step
 */
export function promptChunk(tokensPerSecond: number, othersDecode: boolean): number {
  const seconds = othersDecode ? 0.05 : 0.12;
  return Math.max(8, Math.floor(tokensPerSecond * seconds));
}

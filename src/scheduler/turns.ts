/**
 * Whose turn it is on a loaded model. A model serves as many requests side by side as it has slots;
 * the others wait here, in a queue with a bound, ordered by priority, fairness between clients, age.
 * `nextTurn` decides and is pure; `Turns` acts.
 */
import { BusyError, CanceledError } from "../errors.ts";
import type { Clock } from "./clock.ts";

export const priorities = ["low", "normal", "high"] as const;
export type Priority = (typeof priorities)[number];

/** What the queue needs to know of a request. */
export interface TurnTerms {
  /** Whoever shares a key or an address is one client. */
  readonly client: string;
  readonly priority: Priority;
}

export interface WaitingTurn extends TurnTerms {
  /** When it came, milliseconds of the clock. */
  readonly since: number;
}

/** So long a wait lifts a request by one priority, milliseconds: nobody waits for ever. */
export const ageingMs = 10_000;

/**
 * Requests handed to the engine beyond its slots, so that a slot that becomes free finds its next
 * request there and does not wait for a message to go to and fro.
 */
const ahead = 1;

/**
 * The index of the one whose turn it is, -1 when nobody waits: the highest priority, a long wait
 * counted in; then the client that is served least just now; then the one that came first.
 *
 * @param running requests being served, by client
 */
export function nextTurn(
  waiting: readonly WaitingTurn[],
  running: ReadonlyMap<string, number>,
  now: number,
): number {
  const level = ({ priority, since }: WaitingTurn) =>
    priorities.indexOf(priority) + Math.floor((now - since) / ageingMs);
  const load = ({ client }: WaitingTurn) => running.get(client) ?? 0;
  let best = -1;
  waiting.forEach((turn, index) => {
    const other = waiting[best];
    if (other === undefined) {
      best = index;
      return;
    }
    const order =
      level(turn) - level(other) || load(other) - load(turn) || other.since - turn.since;
    if (order > 0) best = index;
  });
  return best;
}

/** What a turn is for: a text takes a slot, vectors share batches and take none. */
export type Work = "text" | "vectors";

/** Requests for vectors handed to the engine: as many as texts at most, enough to fill its batches. */
export const vectorsAtOnce = 32;

interface Pending extends WaitingTurn {
  readonly settle: (outcome: Disposable | Error) => void;
}

export class Turns {
  readonly #slots: number;
  readonly #most: number;
  readonly #clock: Clock;
  readonly #running = new Map<string, number>();
  #count = 0;
  #waiting: Pending[] = [];
  #failure: Error | undefined;

  /** @param most requests that may wait; one more is refused */
  constructor(slots: number, most: number, clock: Clock) {
    this.#slots = slots;
    this.#most = most;
    this.#clock = clock;
  }

  /** Requests that have their turn. */
  get running(): number {
    return this.#count;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Waits for a turn and holds it until the result is disposed of.
   * @throws BusyError when too many wait, CanceledError when the signal is aborted first, and what
   * `fail` was given
   */
  take(terms: TurnTerms, signal: AbortSignal): Promise<Disposable> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (signal.aborted) return Promise.reject(new CanceledError());
    if (this.#waiting.length === 0 && this.#count < this.#slots + ahead) {
      return Promise.resolve(this.#hold(terms));
    }
    if (this.#waiting.length >= this.#most) return Promise.reject(new BusyError());
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting = this.#waiting.filter((other) => other !== pending);
        reject(new CanceledError());
      };
      const pending: Pending = {
        ...terms,
        since: this.#clock.now(),
        settle: (outcome) => {
          signal.removeEventListener("abort", leave);
          if (outcome instanceof Error) reject(outcome);
          else resolve(outcome);
        },
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(pending);
    });
  }

  /** Ends all that wait, and whoever comes later: the model is gone. */
  fail(error: Error): void {
    this.#failure = error;
    for (const pending of this.#waiting.splice(0)) pending.settle(error);
  }

  #hold({ client }: TurnTerms): Disposable {
    this.#count++;
    this.#running.set(client, (this.#running.get(client) ?? 0) + 1);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#count--;
        const left = (this.#running.get(client) ?? 1) - 1;
        if (left > 0) this.#running.set(client, left);
        else this.#running.delete(client);
        this.#next();
      },
    };
  }

  #next(): void {
    if (this.#count >= this.#slots + ahead) return;
    const index = nextTurn(this.#waiting, this.#running, this.#clock.now());
    const [pending] = index < 0 ? [] : this.#waiting.splice(index, 1);
    pending?.settle(this.#hold(pending));
  }
}

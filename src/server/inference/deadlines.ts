/**
 * How long a request may wait, and for what: a free slot, its model, the first token, the next one, the
 * end. Limits come from variables and from the request's headers; the smaller one counts. When one is
 * over, the request's signal is aborted, so that its slot is freed, and the error names what was waited for.
 */

import { durationOrSeconds } from "../../config/duration.ts";
import type { Config } from "../../config/env.ts";
import { InvalidRequestError, TimeoutError } from "../../errors.ts";
import { type Clock, systemClock } from "../../scheduler/clock.ts";

/** What is waited for: header, and the words of the error. */
const stages = {
  queue: { header: "x-hutch-queue-timeout", what: "a free slot" },
  load: { header: "x-hutch-load-timeout", what: "the model to load" },
  firstToken: { header: "x-hutch-first-token-timeout", what: "the first token" },
  token: { header: "x-hutch-token-timeout", what: "the next token" },
  request: { header: "x-hutch-request-timeout", what: "the end of the answer" },
} as const;

export type Stage = keyof typeof stages;

const stageNames = Object.keys(stages) as Stage[];

/** Milliseconds by stage; what is missing has no limit. */
export type Limits = Readonly<Partial<Record<Stage, number>>>;

/** Milliseconds of a duration, undefined when it means no limit. */
function limitMs(ns: bigint): number | undefined {
  return ns <= 0n ? undefined : Math.max(1, Number(ns) / 1e6);
}

/** Limits that a request's headers set: Go durations or seconds. @throws InvalidRequestError */
export function headerLimits(headers: Headers): Limits {
  const limits: Partial<Record<Stage, number>> = {};
  for (const stage of stageNames) {
    const { header } = stages[stage];
    const text = headers.get(header)?.trim() ?? "";
    if (text === "") continue;
    const ns = durationOrSeconds(text);
    if (ns === undefined) {
      throw new InvalidRequestError(
        `header ${header}: ${JSON.stringify(text)}: expected a duration like 30s, or seconds`,
      );
    }
    const ms = limitMs(ns);
    if (ms !== undefined) limits[stage] = ms;
  }
  return limits;
}

/** Limits of configurations, which never change. */
const configured = new WeakMap<Config["deadlines"], Limits>();

/** Limits that the server's variables set. */
export function configuredLimits({ deadlines }: Pick<Config, "deadlines">): Limits {
  const known = configured.get(deadlines);
  if (known !== undefined) return known;
  const entries = Object.entries(deadlines).map(([stage, ns]) => [stage, limitMs(ns)]);
  const limits: Limits = Object.fromEntries(entries.filter(([, ms]) => ms !== undefined));
  configured.set(deadlines, limits);
  return limits;
}

function seconds(ms: number): string {
  return `${Math.round(ms) / 1000} s`;
}

export class Deadlines {
  readonly #expire: () => void;
  readonly #clock: Clock;
  readonly #since: number;
  #limits: Limits;
  #expired: TimeoutError | undefined;
  #stage: { readonly name: Stage; readonly since: number } | undefined;
  /** Milliseconds spent in a stage that is entered more than once and counts as a whole. */
  readonly #spent = new Map<Stage, number>();
  readonly #timers = new Map<"stage" | "request", () => void>();

  /** @param expire called once when a limit is over */
  constructor(limits: Limits, expire: () => void, clock: Clock = systemClock) {
    this.#limits = limits;
    this.#expire = expire;
    this.#clock = clock;
    this.#since = clock.now();
    this.#watchRequest();
  }

  /** Why the request ended, when a limit was over. */
  get expired(): TimeoutError | undefined {
    return this.#expired;
  }

  /** Adds limits; of two for the same stage the smaller one counts. */
  add(limits: Limits): void {
    for (const name of stageNames) {
      const limit = limits[name];
      if (limit === undefined) continue;
      const least = Math.min(limit, this.#limits[name] ?? limit);
      this.#limits = { ...this.#limits, [name]: least };
    }
    this.#watchRequest();
  }

  /** The request waits for this now. Times of waiting for a slot are added up. */
  enter(name: Stage): void {
    this.leave();
    const limit = this.#limits[name];
    this.#stage = { name, since: this.#clock.now() };
    if (limit === undefined) return;
    this.#watch("stage", name, limit - (this.#spent.get(name) ?? 0), limit);
  }

  /** It waits for nothing that has a limit of its own. */
  leave(): void {
    this.#stop("stage");
    if (this.#stage?.name === "queue") {
      const { name, since } = this.#stage;
      this.#spent.set(name, (this.#spent.get(name) ?? 0) + this.#clock.now() - since);
    }
    this.#stage = undefined;
  }

  /**
   * Waits for a promise as a stage, or within the request's limit alone.
   * @throws TimeoutError when a limit was over, else what the promise throws
   */
  async during<T>(stage: Stage | undefined, wait: () => Promise<T>): Promise<T> {
    if (stage === undefined) this.leave();
    else this.enter(stage);
    try {
      return await wait();
    } catch (error) {
      throw this.#expired ?? error;
    } finally {
      this.leave();
    }
  }

  /** The request is over. */
  end(): void {
    this.leave();
    this.#stop("request");
  }

  #watchRequest(): void {
    const limit = this.#limits.request;
    if (limit === undefined) return;
    this.#watch("request", "request", limit - (this.#clock.now() - this.#since), limit);
  }

  #stop(timer: "stage" | "request"): void {
    this.#timers.get(timer)?.();
    this.#timers.delete(timer);
  }

  #watch(timer: "stage" | "request", name: Stage, left: number, limit: number): void {
    this.#stop(timer);
    const over = () => {
      if (this.#expired !== undefined) return;
      const { what, header } = stages[name];
      const waiting = this.#stage?.name ?? name;
      const at = waiting === name ? "" : `, still waiting for ${stages[waiting].what}`;
      this.#expired = new TimeoutError(
        `timed out after ${seconds(limit)} of waiting for ${what}${at} (limit set by ${header} or its variable)`,
      );
      this.end();
      this.#expire();
    };
    this.#timers.set(timer, this.#clock.after(Math.max(0, left), over));
  }
}

/** Deadlines by the signal that they abort: whoever has the signal can say what it waits for. */
const known = new WeakMap<AbortSignal, Deadlines>();

/** Gives a signal its deadlines. */
export function setDeadlines(signal: AbortSignal, deadlines: Deadlines): void {
  known.set(signal, deadlines);
}

/** Deadlines of a signal; without limits where it has none. */
export function deadlinesOf(signal: AbortSignal): Deadlines {
  return known.get(signal) ?? new Deadlines({}, () => {});
}

/**
 * The work of a child that has a vocabulary only: how far constraints can be kept, and which texts
 * keep to them. What takes too long or too much memory ends this process, nobody else's; its last
 * word is a refusal.
 */
import type { NativeModel } from "../../../ffi/native.ts";
import type { BrokenRule, ConstraintReport } from "../engine.ts";
import type { Command, Report } from "../protocol.ts";
import { ConstraintCache, type HeldConstraint } from "./constraints.ts";
import { toFailure } from "./failure.ts";

type CheckCommand = Extract<Command, { type: "check" }>;

/** Bounds of one compilation: milliseconds, and bytes that this process may grow by. */
const compileLimitMs = 10_000;
const memoryLimit = 2 ** 30;
const watchEvery = 10;

/** Milliseconds that the last word has to reach the parent. */
const farewellMs = 100;

function refusal(reason: string): ConstraintReport {
  return {
    level: "refused",
    reason: { keyword: "", reason },
    compileMs: 0,
    verdicts: [],
  };
}

export class CheckRunner {
  readonly #cache: ConstraintCache;
  readonly #send: (report: Report) => void;
  readonly #exit: () => void;
  readonly #baseline = process.memoryUsage.rss();
  /** Compilations under way, oldest first. */
  readonly #running = new Map<number, number>();
  #watch: ReturnType<typeof setInterval> | undefined;

  /** @param exit ends this process */
  constructor(model: NativeModel, send: (report: Report) => void, exit: () => void) {
    // The watch below ends the process before; this is for a clock that stood still.
    this.#cache = new ConstraintCache(model, 2 * compileLimitMs);
    this.#send = send;
    this.#exit = exit;
  }

  async check({ id, kind, text, texts }: CheckCommand): Promise<void> {
    this.#running.set(id, performance.now());
    this.#watch ??= setInterval(() => this.#look(), watchEvery);
    let held: HeldConstraint | undefined;
    try {
      held = await this.#cache.hold({ kind, text });
      this.#ended(id);
      this.#send({ type: "checked", id, report: judge(held, texts) });
    } catch (error) {
      this.#ended(id);
      this.#send({ type: "error", id, error: toFailure(error) });
    } finally {
      held?.release();
    }
  }

  #ended(id: number): void {
    this.#running.delete(id);
    if (this.#running.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  /** A thread cannot be ended, a process can. */
  #look(): void {
    const grown = process.memoryUsage.rss() - this.#baseline;
    const [oldest] = this.#running;
    if (oldest === undefined) return;
    const [id, since] = oldest;
    const slow = performance.now() - since > compileLimitMs;
    if (!slow && grown < memoryLimit) return;
    const why = slow ? `${compileLimitMs / 1000} s` : `${memoryLimit / 2 ** 20} MiB of memory`;
    clearInterval(this.#watch);
    this.#send({ type: "checked", id, report: refusal(`compiling it takes more than ${why}`) });
    setTimeout(this.#exit, farewellMs);
  }
}

function judge({ native, compileMs }: HeldConstraint, texts: readonly string[]): ConstraintReport {
  const { level, reason } = native.describe();
  return {
    level,
    ...(reason === undefined ? {} : { reason }),
    compileMs,
    verdicts: texts.map((text) => {
      const accepted = native.accepts(text);
      const broken: BrokenRule | undefined = native.validate(text);
      return { accepted, ...(broken === undefined ? {} : { broken }) };
    }),
  };
}

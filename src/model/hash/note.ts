/**
 * The saved state of a hash, in a file of its own beside the bytes. A state is about the bytes as they
 * came, so it counts only while they must still be there as they came: in the run of the operating
 * system that wrote both (after a loss of power the disk may lack what was hashed), and as long as its
 * reader finds the bytes where the state left them. Anything else is ignored and the bytes are read.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { digestOf } from "../digest.ts";
import type { HashState } from "./arrival.ts";

const whole = t.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const ContentShape = t.Object({
  /** Run of the operating system. */
  boot: t.String(),
  /** Bytes of the whole blob. */
  total: whole,
  /** Newest first. */
  states: t.Array(t.Object({ front: whole, position: whole, state: t.String() }), { maxItems: 2 }),
});
const NoteShape = t.Object({ content: ContentShape, sum: t.String() });
type Content = Static<typeof ContentShape>;
type NotedState = Content["states"][number];

/** This run of the operating system; undefined where it has no name, then nothing is saved. */
function bootOfSystem(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return undefined; // not Linux
  }
}

const sumOf = (content: Content) => digestOf(new TextEncoder().encode(JSON.stringify(content)));

export class HashNote {
  readonly #path: string;
  readonly #total: number;
  readonly #boot: string | undefined;
  #states: readonly NotedState[] = [];

  /** @param total bytes that the whole blob will have */
  constructor(path: string, total: number, boot: string | undefined = bootOfSystem()) {
    this.#path = path;
    this.#total = total;
    this.#boot = boot;
  }

  /** The states that count, newest first; each with the bytes that were there when it was written. */
  read(): readonly NotedState[] {
    try {
      const note: unknown = JSON.parse(readFileSync(this.#path, "utf8"));
      if (!Value.Check(NoteShape, note)) return [];
      const { content, sum } = note;
      const fits = content.boot === this.#boot && content.total === this.#total;
      return fits && sum === sumOf(content) ? content.states : [];
    } catch {
      return []; // none, or not JSON
    }
  }

  /**
   * Writes down a state, or that there is none. The one before stays beside it: who keeps the front in
   * another file may be killed before that is written.
   * @param front bytes that are there, at least `state.position`
   */
  write(front: number, state: HashState | undefined): void {
    if (state === undefined || this.#boot === undefined) {
      this.remove();
      return;
    }
    this.#states = [{ front, ...state }, ...this.#states].slice(0, 2);
    const content: Content = {
      boot: this.#boot,
      total: this.#total,
      states: [...this.#states],
    };
    const pending = `${this.#path}.part`;
    try {
      writeFileSync(pending, `${JSON.stringify({ content, sum: sumOf(content) })}\n`, {
        mode: 0o644,
      });
      renameSync(pending, this.#path);
    } catch (error) {
      rmSync(pending, { force: true });
      throw error;
    }
  }

  remove(): void {
    this.#states = [];
    rmSync(this.#path, { force: true });
  }
}

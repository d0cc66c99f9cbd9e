/** The line of one transfer: share, bar, bytes, speed, time left (cli.md 6). Pure: the clock is an argument. */
import { humanBytes } from "../../model/human.ts";

/** A transfer as it is shown. */
export interface Bar {
  readonly label: string;
  readonly completed: number;
  readonly total: number;
  /** Bytes per second; 0 where it is not known yet. */
  readonly rate: number;
}

/** Fewest columns that a bar is drawn in; below it the figures have the line to themselves. */
const narrowest = 10;

/** Most samples that a speed is made of: one a second. */
const mostSamples = 10;

/** Speed of a transfer, from its progress of the last ten seconds. */
export class Rate {
  readonly #samples: { at: number; value: number }[] = [];

  /**
   * @param value bytes so far
   * @param now milliseconds, never going back
   */
  add(value: number, now: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && now - last.at < 1000) return;
    this.#samples.push({ at: now, value });
    if (this.#samples.length > mostSamples) this.#samples.shift();
  }

  /** Bytes per second; 0 until a second has passed. */
  get perSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.at === first.at) return 0;
    return ((last.value - first.value) / (last.at - first.at)) * 1000;
  }
}

/** `59s`, `5m10s`, `2h5m`, `99h+`. @param seconds whole or not */
export function timeLeft(seconds: number): string {
  const whole = Math.ceil(seconds);
  const hours = Math.trunc(whole / 3600);
  const minutes = Math.trunc((whole % 3600) / 60);
  if (hours >= 100) return "99h+";
  if (hours > 0) return `${hours}h${minutes}m`;
  return minutes > 0 ? `${minutes}m${whole % 60}s` : `${whole}s`;
}

export function percent({ completed, total }: Bar): number {
  return total <= 0 ? 100 : Math.min(100, Math.trunc((completed / total) * 100));
}

export function isComplete({ completed, total }: Bar): boolean {
  return completed >= total;
}

/** Share, bytes, speed and time left without a bar: for logs. */
export function barText(bar: Bar): string {
  const head = `${bar.label} ${percent(bar)}%`;
  if (isComplete(bar)) return `${head} ${humanBytes(bar.total)}`;
  const bytes = `${head} ${humanBytes(bar.completed)}/${humanBytes(bar.total)}`;
  if (bar.rate <= 0) return bytes;
  const left = timeLeft((bar.total - bar.completed) / bar.rate);
  return `${bytes} ${humanBytes(Math.round(bar.rate))}/s ${left}`;
}

/**
 * The line in a terminal, never wider than it: in a narrow one first the bar goes, then time left,
 * speed and bytes.
 */
export function barLine(bar: Bar, columns: number): string {
  const share = `${String(percent(bar)).padStart(3)}%`;
  const moving = !isComplete(bar);
  const right = (text: string) => text.padStart(6);
  const bytes = moving
    ? `${right(humanBytes(bar.completed))}/${right(humanBytes(bar.total))}`
    : right(humanBytes(bar.total)).padEnd(13);
  const known = moving && bar.rate > 0;
  const speed = known ? `  ${right(humanBytes(Math.round(bar.rate)))}/s` : " ".repeat(10);
  const left = known
    ? `  ${right(timeLeft((bar.total - bar.completed) / bar.rate))}`
    : " ".repeat(8);
  const head = `${bar.label} ${share}`;
  const figures = bytes + speed + left;
  const room = columns - Bun.stringWidth(head) - figures.length - 5;
  if (room >= narrowest) {
    const filled = Math.trunc((room * percent(bar)) / 100);
    return `${head} ▕${"█".repeat(filled)}${" ".repeat(room - filled)}▏ ${figures}`.trimEnd();
  }
  const parts = [bytes, speed, left]
    .map((text) => text.trim().replace(/\/ +/, "/"))
    .filter((text) => text !== "");
  for (let count = parts.length; count > 0; count--) {
    const line = [head, ...parts.slice(0, count)].join(" ");
    if (Bun.stringWidth(line) <= columns) return line;
  }
  return Bun.sliceAnsi(head, -columns, undefined, "…");
}

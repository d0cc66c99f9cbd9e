/** What one-shot runs and chats share: their settings, formats, timings. */
import { formatGoDuration } from "../config/duration.ts";
import type { Json } from "./client.ts";

export interface RunSettings {
  readonly model: string;
  readonly format: string | undefined;
  readonly keepAlive: string | undefined;
  readonly think: boolean | string | undefined;
  readonly hideThinking: boolean;
  readonly verbose: boolean;
  readonly wordWrap: boolean;
}

/** Format as the API takes it: `json`, or a schema given as a literal. */
export function formatValue(text: string | undefined): unknown {
  if (text === undefined || text === "") return undefined;
  if (text === "json") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The lines of `--verbose` (cli.md 4.3). */
export function timings(final: Json): string {
  const number = (key: string) => Number(final[key] ?? 0);
  const rows: string[] = [];
  const add = (label: string, text: string) => rows.push(`${`${label}:`.padEnd(22)}${text}`);
  const duration = (key: string) => formatGoDuration(number(key));
  const rate = (count: string, time: string) =>
    `${(number(count) / (number(time) / 1e9)).toFixed(2)} tokens/s`;
  if (number("total_duration") > 0) add("total duration", duration("total_duration"));
  if (number("load_duration") > 0) add("load duration", duration("load_duration"));
  if (number("prompt_eval_count") > 0)
    add("prompt eval count", `${number("prompt_eval_count")} token(s)`);
  if (number("prompt_eval_duration") > 0) {
    add("prompt eval duration", duration("prompt_eval_duration"));
    add("prompt eval rate", rate("prompt_eval_count", "prompt_eval_duration"));
  }
  if (number("eval_count") > 0) add("eval count", `${number("eval_count")} token(s)`);
  if (number("eval_duration") > 0) {
    add("eval duration", duration("eval_duration"));
    add("eval rate", rate("eval_count", "eval_duration"));
  }
  return rows.length > 0 ? `${rows.join("\n")}\n` : "";
}

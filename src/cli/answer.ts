/** What one-shot runs and chats share: their settings, what they send, tool calls, timings. */
import { formatGoDuration } from "../config/duration.ts";
import type { Json } from "./client.ts";

export interface RunSettings {
  readonly model: string;
  /** `json` or a schema, as the API takes it. */
  readonly format: unknown;
  /** A Go duration. */
  readonly keepAlive: string | undefined;
  readonly think: boolean | string | undefined;
  readonly options: Json;
  readonly hideThinking: boolean;
  readonly verbose: boolean;
  readonly wordWrap: boolean;
}

/** A format given as text: `json`, or a schema; anything else is passed on as it is. */
export function formatValue(text: string): unknown {
  if (text === "") return undefined;
  if (text === "json") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The members of a request that come from settings; what is not set is not sent. */
export function settingsBody(settings: RunSettings): Json {
  const { model, format, keepAlive, think, options } = settings;
  return {
    model,
    options,
    ...(format === undefined ? {} : { format }),
    ...(keepAlive === undefined ? {} : { keep_alive: keepAlive }),
    ...(think === undefined ? {} : { think }),
  };
}

/** Calls that nobody will answer, as text (cli.md 4.2). */
export function toolCallText(calls: unknown): string {
  if (!Array.isArray(calls)) return "";
  const lines = calls.map((call: { function?: { name?: unknown; arguments?: unknown } }) => {
    const name = String(call.function?.name ?? "");
    const json = JSON.stringify(call.function?.arguments ?? {});
    return `  Model called a non-existent function '${name}()' with arguments: ${json}`;
  });
  return lines.join("\n");
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

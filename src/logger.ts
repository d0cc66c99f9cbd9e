/**
 * Logs to stderr only, one line a record: `time=… level=INFO area=server msg="…" key=value`
 * (env.md 6, so that people's greps work), or with LOG=json one JSON object a line. Prompts are never
 * logged.
 */
import type { LogLevel } from "./config/env.ts";

/** `text` is one line of `key=value`, `json` one object a line. */
export type LogFormat = "text" | "json";

export type LogFields = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

export interface Logger {
  /** A logger whose records carry another area. */
  area(name: string): Logger;
  trace(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

const order: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error"];

/** Bare when it is a plain word, else in double quotes with escapes. */
function quote(text: string): string {
  return /^[^\s"=\\]+$/.test(text) ? text : JSON.stringify(text);
}

/** Local time with milliseconds and offset, as Go's RFC 3339 prints it. */
function timestamp(now: Date): string {
  const offset = -now.getTimezoneOffset();
  if (offset === 0) return now.toISOString();
  const local = new Date(now.getTime() + offset * 60_000).toISOString().slice(0, -1);
  const two = (n: number) => String(Math.trunc(n)).padStart(2, "0");
  const size = Math.abs(offset);
  return `${local}${offset < 0 ? "-" : "+"}${two(size / 60)}:${two(size % 60)}`;
}

function textLine(level: string, area: string, message: string, fields: LogFields): string {
  let line = `time=${timestamp(new Date())} level=${level} area=${area} msg=${quote(message)}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    line += ` ${key}=${typeof value === "string" ? quote(value) : value}`;
  }
  return line;
}

/** One JSON object a line; numbers stay numbers, 64-bit ones become texts. */
function jsonLine(level: string, area: string, message: string, fields: LogFields): string {
  const record = { time: new Date().toISOString(), level, area, msg: message, ...fields };
  return JSON.stringify(record, (_, value) => (typeof value === "bigint" ? String(value) : value));
}

/** A logger that drops records below `level`; `write` gets whole lines and is stderr by default. */
export function createLogger(
  level: LogLevel,
  area = "main",
  write: (line: string) => void = (line) => void process.stderr.write(line),
  format: LogFormat = "text",
): Logger {
  const threshold = order.indexOf(level);
  const at =
    (name: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (order.indexOf(name) < threshold) return;
      const line = format === "json" ? jsonLine : textLine;
      write(`${line(name.toUpperCase(), area, message, fields)}\n`);
    };
  return {
    area: (name) => createLogger(level, name, write, format),
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
  };
}

/** Drops everything: for one-shot commands and tests. */
export const silentLogger: Logger = createLogger("error", "silent", () => {});

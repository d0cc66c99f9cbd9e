/**
 * `ps --watch`: what is loaded, as it changes, until Ctrl-C. In a terminal one table that is redrawn in
 * place, line by line, and only where it differs; elsewhere a block with its time whenever something is
 * different.
 */
import { setTimeout as wait } from "node:timers/promises";
import { createLogUpdate } from "log-update";
import { parseGoDuration } from "../config/duration.ts";
import { UsageError } from "../errors.ts";
import { humanBytes } from "../model/human.ts";
import { flagText, type ParsedArguments } from "./arguments.ts";
import type { Client, Json } from "./client.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { listOf, processor, until } from "./models.ts";
import { table } from "./table.ts";

const header = [
  "NAME",
  "SIZE",
  "PROCESSOR",
  "CONTEXT",
  "STATE",
  "SLOTS",
  "QUEUE",
  "UNTIL",
] as const;
type Column = (typeof header)[number];

/** What a narrow terminal does without, in this order; the name always stays. */
const droppable: readonly Column[] = [
  "CONTEXT",
  "PROCESSOR",
  "SIZE",
  "UNTIL",
  "STATE",
  "QUEUE",
  "SLOTS",
];

/** A cell for what another server than hutch does not tell. */
const unknown = "-";

type Row = Readonly<Record<Column, string>>;

function loadedRow(model: Json): Row {
  const { busy, total } = (model.slots ?? {}) as { busy?: number; total?: number };
  return {
    NAME: String(model.name),
    SIZE: humanBytes(Number(model.size)),
    PROCESSOR: processor(Number(model.size), Number(model.size_vram ?? 0)),
    CONTEXT: String(model.context_length ?? 0),
    STATE: typeof model.state === "string" ? model.state : unknown,
    SLOTS: total === undefined ? unknown : `${busy}/${total}`,
    QUEUE: typeof model.queue === "number" ? String(model.queue) : unknown,
    UNTIL: until(Date.parse(String(model.expires_at))),
  };
}

function comingRow(model: Json): Row {
  return {
    NAME: String(model.name),
    SIZE: unknown,
    PROCESSOR: unknown,
    CONTEXT: unknown,
    STATE: String(model.state),
    SLOTS: unknown,
    QUEUE: String(model.waiting ?? 0),
    UNTIL: unknown,
  };
}

/** Rows of an answer of `/api/ps`: loaded models, the one that loads, those whose turn comes. */
export function watchRows(answer: Json, prefix = ""): Row[] {
  const rows = [...listOf(answer.models).map(loadedRow), ...listOf(answer.loading).map(comingRow)];
  return rows.filter(({ NAME }) => NAME.startsWith(prefix));
}

function lines(columns: readonly Column[], rows: readonly Row[]): string[] {
  const cells = rows.map((row) => columns.map((column) => row[column]));
  return table(columns, cells)
    .trimEnd()
    .split("\n")
    .map((line) => line.trimEnd());
}

/** The table in lines of at most so many columns: columns go first, then the ends of names. */
export function fittedTable(rows: readonly Row[], width: number, height: number): string[] {
  const dropped = new Set<Column>();
  const draw = () =>
    lines(
      header.filter((column) => !dropped.has(column)),
      rows,
    );
  let found = draw();
  for (const column of droppable) {
    if (found.every((line) => Bun.stringWidth(line) <= width)) break;
    dropped.add(column);
    found = draw();
  }
  const fitted = found.map((line) => Bun.sliceAnsi(line, 0, width, { ellipsis: "…" }));
  if (fitted.length <= height) return fitted;
  const shown = fitted.slice(0, Math.max(1, height - 1));
  return height < 2 ? shown : [...shown, `… ${fitted.length - shown.length} more`.slice(0, width)];
}

/** Shows one picture after the other, and leaves the last one standing. */
interface Screen extends Disposable {
  show(rows: readonly Row[]): void;
}

function terminalScreen(context: Context): Screen {
  const stream = {
    isTTY: true,
    write: (text: string) => context.out(text),
    get columns() {
      return context.columns();
    },
    get rows() {
      return context.rows();
    },
  };
  const draw = createLogUpdate(stream as unknown as NodeJS.WritableStream);
  let last: readonly Row[] = [];
  let drawn: string | undefined;
  const redraw = (rows: readonly Row[]) => {
    last = rows;
    // One column and one line are left free: a full last one would scroll.
    const text = fittedTable(rows, context.columns() - 1, context.rows() - 1).join("\n");
    if (text !== drawn) draw(text);
    drawn = text;
  };
  const resized = () => {
    if (drawn !== undefined) redraw(last);
  };
  process.stdout.on("resize", resized);
  return {
    show: redraw,
    [Symbol.dispose]: () => {
      process.stdout.off("resize", resized);
      draw.done();
    },
  };
}

function plainScreen(context: Context): Screen {
  let last: string | undefined;
  return {
    show: (rows) => {
      const text = lines(header, rows).join("\n");
      if (text === last) return;
      context.out(`${last === undefined ? "" : "\n"}${new Date().toISOString()}\n${text}\n`);
      last = text;
    },
    [Symbol.dispose]: () => {},
  };
}

/** @throws UsageError */
function intervalOf(parsed: ParsedArguments): number {
  const text = flagText(parsed, "interval") ?? "1s";
  const milliseconds = Number(parseGoDuration(text)) / 1e6;
  if (milliseconds >= 100 && milliseconds <= 3_600_000) return milliseconds;
  throw new UsageError(`flag --interval: "${text}": expected a duration from 100ms to 1h`);
}

/** Shows and waits until the signal aborts. @throws ConnectionError, ServerError */
export async function follow(
  client: Client,
  screen: Screen,
  terms: { readonly prefix: string; readonly milliseconds: number },
  signal: AbortSignal,
): Promise<void> {
  const headers = { accept: "application/json", "x-hutch-extras": "1" };
  while (!signal.aborted) {
    const answer = await client.call("GET", "/api/ps", undefined, { headers, signal });
    screen.show(watchRows(answer, terms.prefix));
    await wait(terms.milliseconds, undefined, { signal });
  }
}

export async function watch(context: Context, parsed: ParsedArguments): Promise<number> {
  const terms = { prefix: parsed.positionals[0] ?? "", milliseconds: intervalOf(parsed) };
  const client = await context.client({ daemonless: false });
  const ended = new AbortController();
  const end = () => ended.abort();
  // Not `once`: whoever gives the cursor back ends the process when nobody else listens.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, end);
  using screen = context.stdoutIsTerminal ? terminalScreen(context) : plainScreen(context);
  try {
    await follow(client, screen, terms, ended.signal);
  } catch (error) {
    if (!ended.signal.aborted) throw error;
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, end);
  }
  return exitCodes.ok;
}

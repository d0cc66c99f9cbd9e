/** Tables as Ollama prints them: scripts cut them by column (cli.md 5). */
import Table from "cli-table3";

/** No borders, no rules: what is left is the padding of cells. */
const bare = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "",
} as const;

/** Blanks after every cell. */
const gap = 4;

function columns(rows: readonly (readonly string[])[], left: string): string[] {
  if (rows.length === 0) return [];
  const width = Math.max(...rows.map((row) => row.length));
  const table = new Table({
    chars: { ...bare, left },
    style: { "padding-left": 0, "padding-right": gap, head: [], border: [], compact: true },
  });
  for (const row of rows) table.push(Array.from({ length: width }, (_, i) => row[i] ?? ""));
  return table.toString().split("\n");
}

/**
 * Left aligned, columns as wide as the widest cell. Header cells are four blanks apart, the last one
 * followed by one; each cell of a row is followed by four.
 */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const [head = "", ...body] = columns([header, ...rows], "");
  return `${[head.slice(0, 1 - gap), ...body].join("\n")}\n`;
}

/** A section of show: title, rows indented by four, each cell followed by four blanks, a blank line. */
export function section(title: string, rows: readonly (readonly string[])[], widest = 30): string {
  const wrapped = rows.map((row) =>
    row.map((cell) => Bun.wrapAnsi(cell, widest, { hard: false, trim: true })),
  );
  const lines = columns(wrapped, "    ");
  return `  ${title}\n${lines.map((line) => `${line}\n`).join("")}\n`;
}

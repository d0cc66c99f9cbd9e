/**
 * Tables as Ollama prints them: scripts cut them by column (cli.md 5). Bun measures and wraps; a table
 * library was tried and cost a millisecond a row, too much for a list of hundreds of models.
 */

/** Blanks after every cell. */
const gap = 4;

/** Left-aligned columns as wide as their widest cell; a cell of several lines makes its row taller. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const lines = rows.flatMap((row) => {
    const cells = row.map((cell) => cell.split("\n"));
    const height = Math.max(...cells.map((parts) => parts.length));
    return Array.from({ length: height }, (_, i) => cells.map((parts) => parts[i] ?? ""));
  });
  const measured = lines.map((line) => line.map((text) => Bun.stringWidth(text)));
  const widths = Array.from({ length: count }, (_, i) =>
    Math.max(...measured.map((line) => line[i] ?? 0)),
  );
  return lines.map((line, row) =>
    widths
      .map((width, i) => {
        const blanks = width - (measured[row]?.[i] ?? 0) + gap;
        return `${line[i] ?? ""}${" ".repeat(blanks)}`;
      })
      .join(""),
  );
}

/**
 * Header cells are four blanks apart, the last one followed by one; each cell of a row is followed by
 * four.
 */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const [head = "", ...body] = columns([header, ...rows]);
  return `${[head.slice(0, 1 - gap), ...body].join("\n")}\n`;
}

/** A section of show: title, rows indented by four, each cell followed by four blanks, a blank line. */
export function section(title: string, rows: readonly (readonly string[])[], widest = 30): string {
  const wrapped = rows.map((row) =>
    row.map((cell) => Bun.wrapAnsi(cell, widest, { hard: false, trim: true })),
  );
  const lines = columns(wrapped).map((line) => `    ${line}\n`);
  return `  ${title}\n${lines.join("")}\n`;
}

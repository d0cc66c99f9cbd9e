/** Tables as Ollama prints them: scripts cut them by column (cli.md 5). */

function pad(cell: string, width: number): string {
  return cell + " ".repeat(Math.max(0, width - Bun.stringWidth(cell)));
}

/**
 * Left aligned, columns as wide as the widest cell. Header cells are four blanks apart, the last one
 * followed by one; each cell of a row is followed by four.
 */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, i) =>
    Math.max(Bun.stringWidth(title), ...rows.map((row) => Bun.stringWidth(row[i] ?? ""))),
  );
  const head = header.map((title, i) => pad(title, widths[i] ?? 0)).join("    ");
  const body = rows.map((row) => row.map((cell, i) => `${pad(cell, widths[i] ?? 0)}    `).join(""));
  return `${[`${head} `, ...body].join("\n")}\n`;
}

/** Words of a text in lines of at most `width` columns; a longer word stands alone. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const joined = line === "" ? word : `${line} ${word}`;
    if (Bun.stringWidth(joined) <= width || line === "") line = joined;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

/** A section of show: title, rows indented by four, each cell followed by four blanks, a blank line. */
export function section(title: string, rows: readonly (readonly string[])[], widest = 30): string {
  const wrapped = rows.flatMap((row) => {
    const cells = row.map((cell) => (Bun.stringWidth(cell) > widest ? wrap(cell, widest) : [cell]));
    const height = Math.max(...cells.map((lines) => lines.length));
    return Array.from({ length: height }, (_, i) => cells.map((lines) => lines[i] ?? ""));
  });
  const columns = Math.max(0, ...wrapped.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) =>
    Math.max(...wrapped.map((row) => Bun.stringWidth(row[i] ?? ""))),
  );
  const lines = wrapped.map((row) => {
    const cells = Array.from(
      { length: columns },
      (_, i) => `${pad(row[i] ?? "", widths[i] ?? 0)}    `,
    );
    return `    ${cells.join("")}\n`;
  });
  return `  ${title}\n${lines.join("")}\n`;
}

/** Writes a terminal's screen as an SVG whose lines appear one after the other. Pure. */

/** Neighbouring characters of one look. */
export interface Run {
  readonly text: string;
  readonly column: number;
  readonly dim: boolean;
  readonly bold: boolean;
}

export interface Row {
  readonly runs: readonly Run[];
  /** Typed by a person: its characters appear one by one. */
  readonly typed: boolean;
}

/** Pixels of a character and of the frame. */
const width = 8.4;
const height = 20;
const margin = 16;
/** Seconds that a typed character, and a printed line, take to appear; and the pause before a command. */
const perCharacter = 0.04;
const perLine = 0.25;
const pause = 0.8;

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (found) => escapes[found] ?? found);
}

function number(value: number): string {
  return String(Math.round(value * 100) / 100);
}

function tspan({ text, column, dim, bold }: Run): string {
  const look = `${dim ? ' class="dim"' : ""}${bold ? ' font-weight="bold"' : ""}`;
  const length = number([...text].length * width);
  return `<tspan x="${number(column * width)}" textLength="${length}"${look}>${escaped(text)}</tspan>`;
}

/**
 * @param columns width of the screen in characters
 * @param title for people who cannot see it
 */
export function terminalSvg(rows: readonly Row[], columns: number, title: string): string {
  const wide = number(columns * width + 2 * margin);
  const high = number(rows.length * height + 2 * margin);
  let at = 0;
  const lines = rows.map(({ runs, typed }, y) => {
    if (typed) at += pause;
    const characters = Math.max(1, ...runs.map(({ text, column }) => column + [...text].length));
    const takes = typed ? characters * perCharacter : 0;
    const style = typed
      ? `animation:type ${number(takes)}s steps(${characters}) ${number(at)}s backwards`
      : `animation:show 0s ${number(at)}s backwards`;
    at += takes + (runs.length === 0 ? 0 : perLine);
    const inside = `<text y="15" xml:space="preserve">${runs.map(tspan).join("")}</text>`;
    const box = `x="${margin}" y="${number(margin + y * height)}" height="${height}"`;
    return `<svg ${box} width="${number(characters * width)}" style="${style}">${inside}</svg>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${wide} ${high}" width="${wide}" height="${high}" role="img">
<title>${escaped(title)}</title>
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#e6e6e6;white-space:pre}
.dim{fill:#8a8f98}
@keyframes show{from{opacity:0}}
@keyframes type{from{width:0}}
@media(prefers-reduced-motion:reduce){svg{animation:none!important}}
</style>
<rect width="100%" height="100%" rx="8" fill="#16181d"/>
${lines.join("\n")}
</svg>
`;
}

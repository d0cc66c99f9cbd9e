/**
 * Parts of a JSON text as they were written: reading them as values would move integer-like keys to the
 * front and round long numbers. All functions take texts that `JSON.parse` takes.
 */

const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

interface Member {
  /** Undefined in a list. */
  readonly name: string | undefined;
  readonly text: string;
}

/** Members of an object or items of a list; of other values nothing. */
function membersOf(json: string): Member[] {
  const found: Member[] = [];
  let depth = 0;
  let name: string | undefined;
  let start = -1;
  let end = -1;
  const finish = () => {
    if (start >= 0) found.push({ name, text: json.slice(start, end) });
    start = -1;
    name = undefined;
  };
  for (const match of json.matchAll(token)) {
    const [piece] = match;
    const closes = piece === "}" || piece === "]";
    if (closes) depth--;
    if (depth === 0 || (depth === 1 && piece === ",")) finish();
    else if (depth === 1 && piece === ":") {
      name = JSON.parse(json.slice(start, end)) as string;
      start = -1;
    } else {
      if (start < 0) start = match.index;
      end = match.index + piece.length;
    }
    if (piece === "{" || piece === "[") depth++;
  }
  return found;
}

/** Items of a list, each as its own text. */
export function itemTexts(json: string): string[] {
  return json.trimStart().startsWith("[") ? membersOf(json).map(({ text }) => text) : [];
}

/** The last member of an object whose name passes. */
export function memberText(json: string, passes: (name: string) => boolean): string | undefined {
  return membersOf(json).findLast(({ name, text }) => {
    return name !== undefined && text !== "null" && passes(name);
  })?.text;
}

/** The same without blanks between tokens and without needless escapes in strings. */
export function compactText(json: string): string {
  const pieces = json.match(token) ?? [];
  return pieces
    .map((piece) => (piece.startsWith('"') ? JSON.stringify(JSON.parse(piece)) : piece))
    .join("");
}

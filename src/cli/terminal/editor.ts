/** The text that is being typed: what each key makes of it, and where it stands. Pure. */
import type { Key } from "./keys.ts";

export interface Edit {
  readonly text: string;
  /** Index in `text`, never within a character. */
  readonly cursor: number;
  /** What was cut last, for Ctrl-Y. */
  readonly cut: string;
}

export const empty: Edit = { text: "", cursor: 0, cut: "" };

const graphemes = new Intl.Segmenter();

/** A text with the cursor behind it. */
export function edited(text: string, cut = ""): Edit {
  return { text, cursor: text.length, cut };
}

export function insert(edit: Edit, text: string): Edit {
  const { cursor } = edit;
  const whole = edit.text.slice(0, cursor) + text + edit.text.slice(cursor);
  return { ...edit, text: whole, cursor: cursor + text.length };
}

function before(text: string, cursor: number): number {
  // A character is never longer than this; a longer look back would make typing slow in long texts.
  const from = Math.max(0, cursor - 64);
  const last = [...graphemes.segment(text.slice(from, cursor))].at(-1);
  return last === undefined ? 0 : from + last.index;
}

function after(text: string, cursor: number): number {
  const first = graphemes
    .segment(text.slice(cursor, cursor + 64))
    [Symbol.iterator]()
    .next();
  return first.done ? cursor : cursor + first.value.segment.length;
}

function wordBefore(text: string, cursor: number): number {
  return /\S*\s*$/.exec(text.slice(0, cursor))?.index ?? 0;
}

function wordAfter(text: string, cursor: number): number {
  return cursor + (/^\s*\S*/.exec(text.slice(cursor))?.[0].length ?? 0);
}

function lineStart(text: string, cursor: number): number {
  return text.lastIndexOf("\n", cursor - 1) + 1;
}

function lineEnd(text: string, cursor: number): number {
  const at = text.indexOf("\n", cursor);
  return at < 0 ? text.length : at;
}

function remove(edit: Edit, from: number, to: number, keep: boolean): Edit {
  const text = edit.text.slice(0, from) + edit.text.slice(to);
  return { text, cursor: from, cut: keep ? edit.text.slice(from, to) : edit.cut };
}

/** The two characters around the cursor change places. */
function transpose(edit: Edit): Edit {
  const { text } = edit;
  const end = edit.cursor === text.length ? edit.cursor : after(text, edit.cursor);
  const middle = before(text, end);
  if (middle === 0) return edit;
  const start = before(text, middle);
  const swapped = text.slice(middle, end) + text.slice(start, middle);
  return { ...edit, text: text.slice(0, start) + swapped + text.slice(end), cursor: end };
}

/** One line up or down in a text of several; undefined at its edge. */
export function moveLine(edit: Edit, step: -1 | 1): Edit | undefined {
  const { text, cursor } = edit;
  const start = lineStart(text, cursor);
  const column = Bun.stringWidth(text.slice(start, cursor));
  const target =
    step < 0 ? (start === 0 ? -1 : lineStart(text, start - 1)) : lineEnd(text, cursor) + 1;
  if (target < 0 || target > text.length) return undefined;
  const line = text.slice(target, lineEnd(text, target));
  return { ...edit, cursor: target + Bun.sliceAnsi(line, 0, column).length };
}

const names: Readonly<Record<string, (edit: Edit) => Edit>> = {
  left: (edit) => ({ ...edit, cursor: before(edit.text, edit.cursor) }),
  right: (edit) => ({ ...edit, cursor: after(edit.text, edit.cursor) }),
  home: (edit) => ({ ...edit, cursor: lineStart(edit.text, edit.cursor) }),
  end: (edit) => ({ ...edit, cursor: lineEnd(edit.text, edit.cursor) }),
  backspace: (edit) => remove(edit, before(edit.text, edit.cursor), edit.cursor, false),
  delete: (edit) => remove(edit, edit.cursor, after(edit.text, edit.cursor), false),
  wordLeft: (edit) => ({ ...edit, cursor: wordBefore(edit.text, edit.cursor) }),
  wordRight: (edit) => ({ ...edit, cursor: wordAfter(edit.text, edit.cursor) }),
  cutWordLeft: (edit) => remove(edit, wordBefore(edit.text, edit.cursor), edit.cursor, true),
  cutWordRight: (edit) => remove(edit, edit.cursor, wordAfter(edit.text, edit.cursor), true),
  cutToStart: (edit) => remove(edit, lineStart(edit.text, edit.cursor), edit.cursor, true),
  cutToEnd: (edit) => remove(edit, edit.cursor, lineEnd(edit.text, edit.cursor), true),
  yank: (edit) => insert(edit, edit.cut),
  transpose,
};

/** Keys by their spelling: `C-` for Ctrl, `M-` for Alt. */
const bindings: Readonly<Record<string, string>> = {
  left: "left",
  "C-b": "left",
  right: "right",
  "C-f": "right",
  home: "home",
  "C-a": "home",
  end: "end",
  "C-e": "end",
  backspace: "backspace",
  "C-h": "backspace",
  delete: "delete",
  "C-d": "delete",
  "M-b": "wordLeft",
  "M-left": "wordLeft",
  "C-left": "wordLeft",
  "M-f": "wordRight",
  "M-right": "wordRight",
  "C-right": "wordRight",
  "C-w": "cutWordLeft",
  "M-backspace": "cutWordLeft",
  "M-d": "cutWordRight",
  "C-u": "cutToStart",
  "C-k": "cutToEnd",
  "C-y": "yank",
  "C-t": "transpose",
};

/** `C-a`, `M-left`, `return`. */
export function spell(key: Extract<Key, { kind: "key" }>): string {
  return `${key.ctrl ? "C-" : ""}${key.meta ? "M-" : ""}${key.name}`;
}

/** What a key makes of a text; undefined when it does not edit. */
export function edit(current: Edit, key: Key): Edit | undefined {
  if (key.kind !== "key") return insert(current, key.text);
  const action = bindings[spell(key)];
  return action === undefined ? undefined : names[action]?.(current);
}

export interface Picture {
  /** Rows as they are printed, none wider than the terminal. */
  readonly rows: readonly string[];
  /** Place of the cursor: index in `rows`, column from 0. */
  readonly row: number;
  readonly column: number;
}

/** Lays a text out in a terminal: `first` stands before its first line, `more` before the others. */
export function picture(
  { text, cursor }: Edit,
  prompts: { readonly first: string; readonly more: string },
  columns: number,
): Picture {
  const rows: string[] = [];
  let place = { row: 0, column: 0 };
  let at = 0;
  for (const [i, line] of text.split("\n").entries()) {
    let row = i === 0 ? prompts.first : prompts.more;
    let width = Bun.stringWidth(row);
    for (const { segment, index } of graphemes.segment(line)) {
      const shown = segment === "\t" ? "    " : segment;
      const wide = Bun.stringWidth(shown);
      if (width + wide > columns && width > 0) {
        rows.push(row);
        row = "";
        width = 0;
      }
      if (at + index === cursor) place = { row: rows.length, column: width };
      row += shown;
      width += wide;
    }
    if (width >= columns) {
      rows.push(row);
      row = "";
      width = 0;
    }
    at += line.length;
    if (at === cursor) place = { row: rows.length, column: width };
    rows.push(row);
    at++;
  }
  return { rows, ...place };
}

/** Rows that a terminal breaks a row into. */
function heightOf(row: string, columns: number): number {
  let rows = 1;
  let width = 0;
  for (const { segment } of graphemes.segment(row)) {
    const wide = Bun.stringWidth(segment);
    if (width + wide > columns) {
      rows++;
      width = 0;
    }
    width += wide;
  }
  return rows;
}

/**
 * The cursor's row after a terminal was resized: it breaks each row that was drawn on its own, and joins
 * none, because line ends stood between them.
 * @param columns of the terminal now
 */
export function rowAfterReflow({ rows, row, column }: Picture, columns: number): number {
  const above = rows.slice(0, row).map((each) => heightOf(each, columns));
  return above.reduce((sum, height) => sum + height, 0) + Math.trunc(column / columns);
}

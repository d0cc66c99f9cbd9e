/**
 * The pages that people read, taken apart: fenced blocks with their language, code in running text,
 * links. A block may be marked by a comment in the line before it:
 *
 *     <!-- not run: REASON -->       it is checked for its syntax only
 *     <!-- runs until stopped -->    it is started, and ended at the end of the page
 *
 * The word after a block's language names a file that the block is the content of, or is `output`:
 * what the block before it prints, where `…` stands for anything.
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Lexer, type Token, walkTokens } from "marked";

export const root: string = resolve(import.meta.dir, "../..");

/** Pages with commands, relative to the root. Those of changes, licences and the model's making have none. */
export const pages: readonly string[] = [
  "README.md",
  "CONTRIBUTING.md",
  "bench/README.md",
  ...new Bun.Glob("docs/**/*.md").scanSync({ cwd: root }),
].toSorted();

export interface Block {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  /** Second word of the info string. */
  readonly word: string;
  readonly text: string;
  /** Why it is not run; undefined when it is. */
  readonly notRun: string | undefined;
  readonly endless: boolean;
}

interface Page {
  readonly text: string;
  readonly tokens: readonly Token[];
}

function read(page: string): Page {
  const text = readFileSync(join(root, page), "utf8");
  const tokens: Token[] = [];
  void walkTokens(new Lexer().lex(text), (token) => {
    tokens.push(token);
  });
  return { text, tokens };
}

/** The fenced blocks of a page, in their order. */
export function blocksOf(page: string): Block[] {
  const { text, tokens } = read(page);
  const blocks: Block[] = [];
  let comment = "";
  let from = 0;
  for (const token of tokens) {
    if (token.type === "html") comment = token.raw;
    else if (token.type === "code" && token.codeBlockStyle !== "indented") {
      const [language = "", word = ""] = (token.lang ?? "").split(/\s+/);
      const at = text.indexOf(token.raw.trimStart().split("\n")[0] ?? "", from);
      from = at + 3;
      const body = text.indexOf(token.text.split("\n")[0] ?? "", at);
      from = Math.max(from, body + token.text.length);
      blocks.push({
        page,
        line: text.slice(0, at).split("\n").length,
        language,
        word,
        text: token.text,
        notRun: /<!-- not run: (.+?) -->/.exec(comment)?.[1],
        endless: comment.includes("<!-- runs until stopped -->"),
      });
      comment = "";
    } else if (token.type !== "space") comment = "";
  }
  return blocks;
}

/** Code in running text; headings that are code quote something else. */
export function codeOf(page: string): string[] {
  const { tokens } = read(page);
  const quoted = new Set(tokens.flatMap((token) => (token.type === "heading" ? [token.text] : [])));
  return tokens.flatMap((token) =>
    token.type === "codespan" && !quoted.has(token.raw) ? [token.text] : [],
  );
}

/** Targets of links. */
export function linksOf(page: string): string[] {
  return read(page).tokens.flatMap((token) =>
    token.type === "link" || token.type === "image" ? [token.href as string] : [],
  );
}

/** Anchors of headings, as GitHub makes them. */
export function anchorsOf(page: string): string[] {
  return read(page).tokens.flatMap((token) => {
    if (token.type !== "heading") return [];
    const plain = (token.text as string).toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "");
    return [plain.replace(/\s/g, "-")];
  });
}

export function pageText(page: string): string {
  return readFileSync(join(root, page), "utf8");
}

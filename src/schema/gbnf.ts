/**
 * GBNF, llama.cpp's grammar language, as the Lark dialect of the constraint engine. Both have the same
 * power; names, character classes and repetitions are spelled differently.
 */
import { InvalidRequestError } from "../errors.ts";

/** GBNF writes rules with `::=`, Lark with `:`. */
export function looksLikeGbnf(text: string): boolean {
  return /^\s*[A-Za-z][\w-]*\s*::=/m.test(text);
}

/** Deepest nesting of groups. */
const mostDepth = 200;

class Reader {
  readonly #text: string;
  readonly #names = new Map<string, string>();
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** All rules, one a line. */
  rules(): string {
    const lines: string[] = [];
    for (this.#blanks(true); this.#at < this.#text.length; this.#blanks(true)) {
      const name = this.#take(/[A-Za-z][\w-]*/y);
      if (name === "") this.#fail("a rule's name was expected");
      this.#blanks(false);
      if (this.#take(/::=/y) === "") this.#fail(`"::=" was expected after ${name}`);
      lines.push(`${this.#name(name)}: ${this.#choices(false)}`);
    }
    if (!this.#names.has("root")) throw new InvalidRequestError('grammar: there is no rule "root"');
    return `${lines.join("\n")}\n`;
  }

  #fail(text: string): never {
    const line = this.#text.slice(0, this.#at).split("\n").length;
    throw new InvalidRequestError(`grammar: line ${line}: ${text}`);
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  /** Comments end at the line; line ends separate rules, but not inside groups. */
  #blanks(lines: boolean): void {
    this.#take(lines ? /(?:\s|#[^\n]*)*/y : /(?:[ \t]|#[^\n]*)*/y);
  }

  /** The engine's names are lower case without dashes; "root" is its "start". */
  #name(name: string): string {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    const plain = `r${this.#names.size}_${name.toLowerCase().replaceAll("-", "_")}`;
    const chosen = name === "root" ? "start" : plain;
    this.#names.set(name, chosen);
    return chosen;
  }

  #choices(inGroup: boolean): string {
    if (++this.#depth > mostDepth) this.#fail("groups are nested too deep");
    const choices = [this.#sequence(inGroup)];
    while (this.#take(/\|/y) !== "") {
      this.#blanks(true);
      choices.push(this.#sequence(inGroup));
    }
    this.#depth--;
    return choices.join(" | ");
  }

  #sequence(inGroup: boolean): string {
    const parts: string[] = [];
    for (;;) {
      this.#blanks(inGroup);
      const part = this.#symbol();
      if (part === undefined) break;
      this.#blanks(inGroup);
      parts.push(part + this.#repetition());
    }
    // The next line may go on with another choice.
    const at = this.#at;
    this.#blanks(true);
    if (this.#text[this.#at] !== "|") this.#at = at;
    return parts.length === 0 ? '""' : parts.join(" ");
  }

  #symbol(): string | undefined {
    const character = this.#text[this.#at];
    if (character === '"') return this.#literal();
    if (character === "[") return this.#class();
    if (character === ".") {
      this.#at++;
      return "/(?s:.)/";
    }
    if (character === "(") {
      this.#at++;
      const inside = this.#choices(true);
      this.#blanks(true);
      if (this.#take(/\)/y) === "") this.#fail('")" was expected');
      return `(${inside})`;
    }
    const name = this.#take(/[A-Za-z][\w-]*(?!\s*::=)(?![\w-])/y);
    return name === "" ? undefined : this.#name(name);
  }

  #repetition(): string {
    const sign = this.#take(/[*+?]/y);
    if (sign !== "") return sign;
    const braces = this.#take(/\{\s*\d+\s*(?:,\s*\d*\s*)?\}/y);
    if (braces === "") {
      if (this.#text[this.#at] === "{") this.#fail("a repetition is {n}, {n,} or {n,m}");
      return "";
    }
    return braces.replace(/\s/g, "");
  }

  #literal(): string {
    const found = this.#take(
      /"(?:[^"\\\n]|\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.))*"/y,
    );
    if (found === "") this.#fail("a literal does not end");
    const text = found.slice(1, -1).replace(escapes, (_, code: string) => meaning(code));
    return JSON.stringify(text);
  }

  #class(): string {
    const found = this.#take(
      /\[(?:[^\]\\\n]|\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.))*\]/y,
    );
    if (found === "") this.#fail("a character class does not end");
    const negated = found.startsWith("[^");
    const inside = found.slice(negated ? 2 : 1, -1);
    if (inside === "") this.#fail("a character class is empty");
    const characters = inside.replace(
      /\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)|([\s\S])/gu,
      (_, code: string | undefined, plain: string) =>
        code === undefined ? (plain === "-" ? "-" : codePoint(plain)) : codePoint(meaning(code)),
    );
    return `/[${negated ? "^" : ""}${characters}]/`;
  }
}

const escapes = /\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)/gu;

function meaning(code: string): string {
  const plain: Record<string, string> = { n: "\n", r: "\r", t: "\t" };
  return /^[xuU]./.test(code)
    ? String.fromCodePoint(Math.min(0x10ffff, Number.parseInt(code.slice(1), 16)))
    : (plain[code] ?? code);
}

/** A character that means itself in a class, whatever it is. */
function codePoint(character: string): string {
  return `\\x{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** @throws InvalidRequestError naming the line of what is wrong */
export function gbnfToLark(text: string): string {
  return new Reader(text).rules();
}

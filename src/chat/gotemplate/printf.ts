/** Go's `printf`: reads a format and hands its operands out. */
import { type Flags, format as formatValue, joinTexts, noFlags } from "./print.ts";
import { isNothing, typeName } from "./values.ts";

/** Greatest width, precision and index; what is beyond is refused, as in Go. */
const greatest = 1_000_000;

/** Digits at `at`. Too many of them swallow the rest, as in Go. */
function readNumber(text: string, at: number, end: number): { value?: number; at: number } {
  let value = 0;
  let i = at;
  for (; i < end && /\d/.test(text[i] ?? ""); i++) {
    if (value > greatest) return { at: end };
    value = value * 10 + Number(text[i]);
  }
  return i === at ? { at } : { value, at: i };
}

class Printer {
  readonly #format: string;
  readonly #operands: readonly unknown[];
  #out = "";
  #at = 0;
  /** Index of the next operand. */
  #next = 0;
  /** Operands were named by index: spare ones are no mistake then. */
  #reordered = false;
  #indexFits = true;
  #afterIndex = false;

  constructor(format: string, operands: readonly unknown[]) {
    this.#format = format;
    this.#operands = operands;
  }

  /** @throws CallError when the text gets too long */
  run(): string {
    return joinTexts(this.#pieces());
  }

  /** The text in front of each verb, and what the verb gives. */
  *#pieces(): Generator<string> {
    const format = this.#format;
    for (;;) {
      const percent = format.indexOf("%", this.#at);
      yield format.slice(this.#at, percent < 0 ? undefined : percent);
      if (percent < 0) break;
      this.#at = percent + 1;
      this.#verb();
      yield this.#taken();
    }
    if (!this.#reordered && this.#next < this.#operands.length) this.#extra();
    yield this.#taken();
  }

  #taken(): string {
    const text = this.#out;
    this.#out = "";
    return text;
  }

  #extra(): void {
    const extra = this.#operands
      .slice(this.#next)
      .values()
      .map((value) =>
        isNothing(value) ? "<nil>" : `${typeName(value)}=${formatValue(value, "v", noFlags)}`,
      );
    this.#out += `%!(EXTRA ${joinTexts(extra, ", ")})`;
  }

  #verb(): void {
    this.#indexFits = true;
    this.#afterIndex = false;
    const marks = /[#0+\- ]*/y;
    marks.lastIndex = this.#at;
    const given = marks.exec(this.#format)?.[0] ?? "";
    this.#at += given.length;
    const flags = {
      minus: given.includes("-"),
      plus: given.includes("+"),
      sharp: given.includes("#"),
      space: given.includes(" "),
      zero: given.includes("0"),
    };
    this.#index();
    let width = this.#width();
    if (width !== undefined && width < 0) {
      width = -width;
      flags.minus = true;
      flags.zero = false;
    }
    const precision = this.#precision();
    if (!this.#afterIndex) this.#index();
    const code = this.#format.codePointAt(this.#at);
    if (code === undefined) {
      this.#out += "%!(NOVERB)";
      return;
    }
    const verb = String.fromCodePoint(code);
    this.#at += verb.length;
    this.#show(verb, { ...flags, width, precision });
  }

  #show(verb: string, flags: Flags): void {
    if (verb === "%") this.#out += "%";
    else if (!this.#indexFits) this.#out += `%!${verb}(BADINDEX)`;
    else if (this.#next >= this.#operands.length) this.#out += `%!${verb}(MISSING)`;
    else {
      const value = this.#operands[this.#next++];
      const asGo =
        verb === "v"
          ? { goSyntax: flags.sharp, withNames: flags.plus, sharp: false, plus: false }
          : {};
      this.#out += formatValue(value, verb, { ...flags, ...asGo });
    }
  }

  /** `[n]` names the next operand. */
  #index(): void {
    this.#afterIndex = false;
    if (this.#format[this.#at] !== "[") return;
    this.#reordered = true;
    const close = this.#format.indexOf("]", this.#at + 1);
    if (close < 0 || this.#format.length - this.#at < 3) {
      this.#indexFits = false;
      this.#at++;
      return;
    }
    const { value, at } = readNumber(this.#format, this.#at + 1, close);
    const isNumber = value !== undefined && at === close;
    const fits = isNumber && value >= 1 && value <= this.#operands.length;
    this.#at = close + 1;
    this.#afterIndex = isNumber;
    if (fits) this.#next = value - 1;
    else this.#indexFits = false;
  }

  /** `*`: the next operand is the number; undefined when it is no whole number in range. */
  #star(): number | undefined {
    this.#at++;
    this.#afterIndex = false;
    if (this.#next >= this.#operands.length) return undefined;
    const value = this.#operands[this.#next++];
    if (typeof value !== "bigint") return undefined;
    return value > greatest || value < -greatest ? undefined : Number(value);
  }

  #width(): number | undefined {
    if (this.#format[this.#at] === "*") {
      const width = this.#star();
      if (width === undefined) this.#out += "%!(BADWIDTH)";
      return width;
    }
    const { value, at } = readNumber(this.#format, this.#at, this.#format.length);
    this.#at = at;
    if (this.#afterIndex && value !== undefined) this.#indexFits = false;
    return value;
  }

  #precision(): number | undefined {
    // A point at the very end is the verb.
    const isPoint = this.#format[this.#at] === "." && this.#at + 1 < this.#format.length;
    if (!isPoint) return undefined;
    this.#at++;
    if (this.#afterIndex) this.#indexFits = false;
    this.#index();
    if (this.#format[this.#at] === "*") {
      const precision = this.#star();
      const fits = precision !== undefined && precision >= 0;
      if (!fits) this.#out += "%!(BADPREC)";
      return fits ? precision : undefined;
    }
    const { value, at } = readNumber(this.#format, this.#at, this.#format.length);
    this.#at = at;
    return value ?? 0;
  }
}

/** `printf`. Too few or too many operands are noted in the text, as in Go. */
export function sprintf(format: string, operands: readonly unknown[]): string {
  return new Printer(format, operands).run();
}

/** The Modelfile grammar: a state machine over characters (modelfile.md 2). */
import { ModelfileError } from "../../errors.ts";

/** One line of a Modelfile. PARAMETER lines carry the parameter's name, MESSAGE `role: text`. */
export interface ModelfileCommand {
  /** `model` for FROM, else the instruction in lower case, or a parameter's name. */
  readonly name: string;
  readonly args: string;
  /** Set for PARAMETER lines, so that a parameter called like an instruction stays one. */
  readonly parameter?: true;
}

const instructions = [
  "from",
  "license",
  "template",
  "system",
  "adapter",
  "draft",
  "renderer",
  "parser",
  "parameter",
  "message",
  "requires",
] as const;

const badCommand =
  'command must be one of "from", "license", "template", "system", "adapter", "draft", "renderer", "parser", "parameter", "message", or "requires"';
const badRole = 'message role must be one of "system", "user", or "assistant"';

/** Names that are instructions; as parameter names they are refused (modelfile.md 2). `draft` is an option too. */
const reserved = new Set<string>([
  "model",
  ...instructions.filter((name) => name !== "parameter" && name !== "draft"),
]);

/** Text of a Modelfile's bytes: UTF-8, or UTF-16 with a byte order mark (modelfile.md 1). */
export function decodeModelfile(bytes: Uint8Array): string {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) {
    const swapped = bytes.slice(0, bytes.length & ~1);
    for (let i = 0; i + 1 < swapped.length; i += 2) {
      [swapped[i], swapped[i + 1]] = [swapped[i + 1] ?? 0, swapped[i] ?? 0];
    }
    return new TextDecoder("utf-16le").decode(swapped);
  }
  return new TextDecoder().decode(bytes);
}

/** Removes white space at both ends, then quotes; undefined while a quote is still open. */
function unquote(raw: string): string | undefined {
  const text = raw.trim();
  if (text.startsWith('"""')) {
    return text.length >= 6 && text.endsWith('"""') ? text.slice(3, -3) : undefined;
  }
  if (text.startsWith('"')) {
    return text.length >= 2 && text.endsWith('"') ? text.slice(1, -1) : undefined;
  }
  return text;
}

type State = "line" | "comment" | "word" | "parameter" | "role" | "value";

/** C0 controls, but for the white space, carry nothing a prompt wants. */
function isDropped(character: string): boolean {
  return character < " " && !"\t\r\n".includes(character);
}

class Parser {
  readonly #commands: ModelfileCommand[] = [];
  #state: State = "line";
  #text = "";
  #name = "";
  #role = "";
  #line = 1;

  parse(text: string): ModelfileCommand[] {
    let previous = "";
    for (const character of text.replace(/^\ufeff/, "")) {
      // A carriage return and a line feed are one line end.
      if (character === "\r" || (character === "\n" && previous !== "\r")) this.#line++;
      previous = character;
      const kept = this.#state !== "value" || !isDropped(character);
      if (kept) this.#take(character);
    }
    this.#end();
    if (!this.#commands.some(({ name }) => name === "model")) {
      throw new ModelfileError("no FROM line");
    }
    return this.#commands;
  }

  #take(character: string): void {
    const newline = character === "\n" || character === "\r";
    const blank = character === " " || character === "\t";
    switch (this.#state) {
      case "line":
        if (newline || blank) return;
        this.#state = character === "#" ? "comment" : "word";
        this.#text = character;
        return;
      case "comment":
        if (newline) this.#state = "line";
        return;
      case "word":
        if (/[A-Za-z]/.test(character)) this.#text += character;
        else if (blank) this.#endWord();
        else throw this.#error(badCommand);
        return;
      case "parameter":
        if (/[A-Za-z0-9_]/.test(character)) this.#text += character;
        else if (blank && this.#text === "") return;
        else if (blank) this.#endParameterName();
        else throw new ModelfileError(`unexpected EOF: ${this.#text}`);
        return;
      case "role":
        if (/[A-Za-z]/.test(character)) this.#text += character;
        else if (blank && this.#text === "") return;
        else if (blank) this.#endRole();
        else throw new ModelfileError(`unexpected EOF: ${this.#text}`);
        return;
      case "value":
        if (newline && this.#finishValue()) this.#state = "line";
        else this.#text += character;
    }
  }

  #endWord(): void {
    const word = this.#text.toLowerCase();
    if (!instructions.some((known) => known === word)) throw this.#error(badCommand);
    this.#name = word === "from" ? "model" : word;
    this.#text = "";
    this.#state = word === "parameter" ? "parameter" : word === "message" ? "role" : "value";
  }

  #endParameterName(): void {
    if (reserved.has(this.#text)) throw new ModelfileError(`unknown parameter '${this.#text}'`);
    this.#name = `parameter ${this.#text}`;
    this.#text = "";
    this.#state = "value";
  }

  #endRole(): void {
    if (!["system", "user", "assistant"].includes(this.#text)) throw this.#error(badRole);
    this.#role = this.#text;
    this.#text = "";
    this.#state = "value";
  }

  /** Adds the command when its value is complete; false while a quote is open. */
  #finishValue(): boolean {
    const value = unquote(this.#text);
    if (value === undefined) return false;
    const parameter = this.#name.startsWith("parameter ");
    this.#commands.push({
      name: parameter ? this.#name.slice("parameter ".length) : this.#name,
      args: this.#name === "message" ? `${this.#role}: ${value}` : value,
      ...(parameter ? { parameter } : {}),
    });
    this.#text = "";
    return true;
  }

  #end(): void {
    switch (this.#state) {
      case "line":
      case "comment":
        return;
      case "value":
        if (this.#finishValue()) return;
    }
    throw new ModelfileError("unexpected EOF");
  }

  #error(text: string): ModelfileError {
    return new ModelfileError(`(line ${this.#line}): ${text}`);
  }
}

/**
 * All commands, in file order.
 * @throws ModelfileError with Ollama's words
 */
export function parseModelfile(text: string): ModelfileCommand[] {
  return new Parser().parse(text);
}

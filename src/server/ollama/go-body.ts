/**
 * Reads JSON bodies as Go's decoder does (api.md 1.2): content type ignored, keys in any case, `null`
 * as absent, bytes after the first value ignored, errors in Go's words. The shapes are TypeBox
 * schemas; their `go` annotation is the name of the Go type that errors speak of.
 */
import { InvalidRequestError } from "../../errors.ts";

/** The parts of a TypeBox schema that reading needs. */
interface Shape {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
  /** Go type, e.g. `float64`, `[]api.Message`; absent = anything. */
  readonly go?: string;
}

/** Finds where the first JSON value ends, or what is wrong with it, in Go's words. */
class Scanner {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** End of the first value. @throws InvalidRequestError */
  end(): number {
    this.#value("looking for beginning of value");
    return this.#at;
  }

  #fail(where: string): never {
    const character = this.#text[this.#at];
    if (character === undefined) throw new InvalidRequestError("unexpected EOF");
    const shown =
      character === "'" ? "\\'" : JSON.stringify(character).slice(1, -1).replace('\\"', '"');
    throw new InvalidRequestError(`invalid character '${shown}' ${where}`);
  }

  #skip(): void {
    while (" \t\r\n".includes(this.#text[this.#at] ?? "x")) this.#at++;
  }

  #value(where: string): void {
    if (++this.#depth > 10_000) throw new InvalidRequestError("exceeded max depth");
    this.#skip();
    const character = this.#text[this.#at];
    if (character === "{") this.#object();
    else if (character === "[") this.#array();
    else if (character === '"') this.#string();
    else if (character !== undefined && /[-0-9]/.test(character)) this.#number();
    else this.#word(where);
    this.#depth--;
  }

  #word(where: string): void {
    const word = ["true", "false", "null"].find((known) => known[0] === this.#text[this.#at]);
    if (word === undefined) this.#fail(where);
    for (const letter of word) {
      if (this.#text[this.#at] !== letter) this.#fail(`in literal ${word} (expecting '${letter}')`);
      this.#at++;
    }
  }

  #number(): void {
    const match = /-?(0|[1-9]\d*)?(\.\d+)?([eE][+-]?\d+)?/y;
    match.lastIndex = this.#at;
    const text = match.exec(this.#text)?.[0] ?? "";
    this.#at += text.length;
    if (text === "-" || text === "") this.#fail("in numeric literal");
    if (/^[.eE]/.test(this.#text[this.#at] ?? "")) {
      this.#at++;
      this.#fail("after decimal point in numeric literal");
    }
  }

  #string(): void {
    this.#at++;
    for (;;) {
      const character = this.#text[this.#at];
      if (character === undefined) this.#fail("");
      if (character === '"') break;
      if (character < " ") this.#fail("in string literal");
      if (character === "\\") {
        this.#at++;
        const code = this.#text[this.#at];
        if (code === undefined || !'"\\/bfnrtu'.includes(code)) this.#fail("in string escape code");
        if (code === "u") {
          for (let i = 0; i < 4; i++) {
            this.#at++;
            if (!/[0-9a-fA-F]/.test(this.#text[this.#at] ?? ""))
              this.#fail("in \\u hexadecimal character escape");
          }
        }
      }
      this.#at++;
    }
    this.#at++;
  }

  #object(): void {
    this.#at++;
    this.#skip();
    if (this.#text[this.#at] === "}") {
      this.#at++;
      return;
    }
    for (;;) {
      this.#skip();
      if (this.#text[this.#at] !== '"') this.#fail("looking for beginning of object key string");
      this.#string();
      this.#skip();
      if (this.#text[this.#at] !== ":") this.#fail("after object key");
      this.#at++;
      this.#value("looking for beginning of value");
      this.#skip();
      const next = this.#text[this.#at];
      if (next !== "," && next !== "}") this.#fail("after object key:value pair");
      this.#at++;
      if (next === "}") return;
    }
  }

  #array(): void {
    this.#at++;
    this.#skip();
    if (this.#text[this.#at] === "]") {
      this.#at++;
      return;
    }
    for (;;) {
      this.#value("looking for beginning of value");
      this.#skip();
      const next = this.#text[this.#at];
      if (next !== "," && next !== "]") this.#fail("after array element");
      this.#at++;
      if (next === "]") return;
    }
  }
}

function firstValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // More than one value, or a broken one: find out which.
    const end = new Scanner(text).end();
    return JSON.parse(text.slice(0, end));
  }
}

function kindOf(value: unknown, shape: Shape): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") {
    return shape.type === "integer" && !Number.isInteger(value) ? `number ${value}` : "number";
  }
  if (typeof value === "boolean") return "bool";
  return typeof value;
}

function fits(value: unknown, shape: Shape): boolean {
  switch (shape.type) {
    case "string":
      return typeof value === "string";
    case "boolean":
      return typeof value === "boolean";
    case "integer":
      return Number.isInteger(value);
    case "number":
      return typeof value === "number";
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && !Array.isArray(value);
    default:
      return true;
  }
}

/** Goes through a value along its shape: folds keys, drops nulls, refuses wrong types. */
function conform(value: unknown, shape: Shape, root: string, path: string): unknown {
  if (!fits(value, shape)) {
    const where = path === "" ? "Go value" : `Go struct field ${root}.${path}`;
    throw new InvalidRequestError(
      `json: cannot unmarshal ${kindOf(value, shape)} into ${where} of type ${shape.go ?? root}`,
    );
  }
  if (shape.type === "array" && shape.items !== undefined) {
    const { items } = shape;
    return (value as unknown[])
      .filter((item) => item !== null)
      .map((item) => conform(item, items, root, path));
  }
  // A map: its keys are data, not names of fields.
  if (shape.properties === undefined || Object.keys(shape.properties).length === 0) return value;
  const names = new Map(Object.keys(shape.properties).map((name) => [name.toLowerCase(), name]));
  const folded: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value as Record<string, unknown>)) {
    const name = Object.hasOwn(shape.properties, key) ? key : names.get(key.toLowerCase());
    if (name === undefined || item === null) continue;
    const inner = shape.properties[name] ?? {};
    folded[name] = conform(item, inner, root, path === "" ? name : `${path}.${name}`);
  }
  return folded;
}

/**
 * A route's `parse` function: the body of a request in canonical form.
 * @param root Go's name of the request type, for errors
 * @throws InvalidRequestError in Go's words
 */
export function goBody(root: string, schema: unknown) {
  const shape = schema as Shape;
  return async ({ request }: { request: Request }): Promise<unknown> => {
    const text = await request.text();
    if (text.trim() === "") throw new InvalidRequestError("missing request body");
    const value = firstValue(text);
    return value === null ? {} : conform(value, { ...shape, go: `api.${root}` }, root, "");
  };
}

/**
 * Bytes of standard base64 with padding, as Go decodes it: line ends are skipped.
 * @throws InvalidRequestError naming the first bad byte
 */
export function decodeBase64(text: string): Uint8Array {
  const plain = text.replace(/[\r\n]/g, "");
  const bad = /[^A-Za-z0-9+/]/.exec(plain.replace(/={1,2}$/, ""));
  if (bad !== null) throw new InvalidRequestError(`illegal base64 data at input byte ${bad.index}`);
  if (plain.length % 4 !== 0) {
    throw new InvalidRequestError(
      `illegal base64 data at input byte ${plain.length - (plain.length % 4)}`,
    );
  }
  return Buffer.from(plain, "base64");
}

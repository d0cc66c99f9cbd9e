/**
 * A cassette: what a server was asked and what it answered, a JSON line for each exchange, in order.
 * Requests are compared by method, path and body, whatever the order of the body's members. Pure.
 */
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { UsageError } from "../../errors.ts";

export const Exchange = t.Object({
  /** Method, path and query. */
  request: t.String(),
  /** JSON as it was sent; of other bodies their SHA-256; null without a body. */
  body: t.Unknown(),
  status: t.Integer(),
  contentType: t.String(),
  /** The answer as it came: milliseconds since the piece before, and its bytes in base64. */
  pieces: t.Array(t.Tuple([t.Integer({ minimum: 0 }), t.String()])),
});
export type Exchange = Static<typeof Exchange>;

/** A body as a cassette keeps it: uploads are too large to keep, and their digest tells them apart. */
export function bodyOf(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return null;
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return { sha256: new Bun.CryptoHasher("sha256").update(bytes).digest("hex") };
  }
}

/** The same for the same question, in whatever order its members stand. */
function keyOf(request: string, body: unknown): string {
  const sorted = (_: string, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return `${request} ${JSON.stringify(body, sorted)}`;
}

/** @param file for messages. @throws UsageError naming the line that does not fit */
export function parseCassette(text: string, file: string): Exchange[] {
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line, i) => {
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch (cause) {
      throw new UsageError(`read "${file}": line ${i + 1} is no JSON`, { cause });
    }
    if (Value.Check(Exchange, json)) return json;
    const first = Value.Errors(Exchange, json).First();
    throw new UsageError(`read "${file}": line ${i + 1}${first?.path ?? ""}: ${first?.message}`);
  });
}

/** Finds answers: a question asked again gets its answers in their order, then the last one. */
export class Cassette {
  readonly #answers = new Map<string, Exchange[]>();

  constructor(exchanges: readonly Exchange[]) {
    for (const exchange of exchanges) {
      const key = keyOf(exchange.request, exchange.body);
      this.#answers.set(key, [...(this.#answers.get(key) ?? []), exchange]);
    }
  }

  find(request: string, body: unknown): Exchange | undefined {
    const answers = this.#answers.get(keyOf(request, body)) ?? [];
    return answers.length > 1 ? answers.shift() : answers[0];
  }
}

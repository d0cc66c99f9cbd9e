/** `hutch embed MODEL [TEXT…|-]`, and `run` on an embedding model (cli.md 4.2). */
import { UsageError } from "../errors.ts";
import { flagText, isOn, type ParsedArguments } from "./arguments.ts";
import type { Client, Json } from "./client.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";

/** Texts that go to the server in one request. */
const batch = 64;

/** The members of a request that come from flags. */
function embedBody(parsed: ParsedArguments): Json {
  const dimensions = flagText(parsed, "dimensions");
  const keepAlive = flagText(parsed, "keepalive");
  return {
    model: parsed.positionals[0],
    ...(dimensions === undefined ? {} : { dimensions: Number(dimensions) }),
    ...(parsed.flags.has("truncate") ? { truncate: isOn(parsed, "truncate") } : {}),
    ...(keepAlive === undefined ? {} : { keep_alive: keepAlive }),
  };
}

function vectorsOf(answer: Json): unknown[] {
  return Array.isArray(answer.embeddings) ? answer.embeddings : [];
}

/** One text, its vector as one line of JSON. @throws UsageError without a text */
export async function embedPrompt(
  context: Context,
  client: Client,
  parsed: ParsedArguments,
  input: string,
): Promise<number> {
  if (input === "") {
    throw new UsageError(
      `embedding models require input text. Usage: hutch run ${parsed.positionals[0]} "your text here"`,
    );
  }
  const answer = await client.call("POST", "/api/embed", { ...embedBody(parsed), input });
  context.out(`${JSON.stringify(vectorsOf(answer)[0] ?? [])}\n`);
  return exitCodes.ok;
}

/** Lines of standard input, without their ends; an empty last line is none. */
async function* stdinLines(): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of Bun.stdin.stream()) {
    rest += decoder.decode(chunk, { stream: true });
    const parts = rest.split("\n");
    rest = parts.pop() ?? "";
    yield* parts.map((line) => line.replace(/\r$/, ""));
  }
  if (rest !== "") yield rest;
}

async function* textsOf(words: readonly string[]): AsyncGenerator<string> {
  for (const word of words) {
    if (word === "-") yield* stdinLines();
    else yield word;
  }
}

/** A vector a line, in the order of the texts; `-` stands for the lines of standard input. */
export async function embed(context: Context, parsed: ParsedArguments): Promise<number> {
  const [, ...words] = parsed.positionals;
  if (words.length === 0 && context.stdinIsTerminal) {
    throw new UsageError("no text: give texts, or - for the lines of standard input");
  }
  const client = await context.client({ daemonless: true });
  const body = embedBody(parsed);
  let index = 0;
  const send = async (input: readonly string[]) => {
    const answer = await client.call("POST", "/api/embed", { ...body, input });
    for (const embedding of vectorsOf(answer)) {
      context.out(`${JSON.stringify({ index: index++, embedding })}\n`);
    }
  };
  let texts: string[] = [];
  for await (const text of textsOf(words.length > 0 ? words : ["-"])) {
    texts.push(text);
    if (texts.length < batch) continue;
    await send(texts);
    texts = [];
  }
  if (texts.length > 0) await send(texts);
  return exitCodes.ok;
}

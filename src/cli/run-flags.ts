/** The flags of `run` for scripts: options, messages, tools and formats, from words and files. */
import { readFile } from "node:fs/promises";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { errorMessage, UsageError } from "../errors.ts";
import { typeParameter } from "../model/options.ts";
import { formatValue } from "./answer.ts";
import { flagText, flagTexts, type ParsedArguments } from "./arguments.ts";
import type { Json } from "./client.ts";

/** A message as the API takes it; images are paths here and base64 there. */
export const Message = Type.Object({
  role: Type.String(),
  content: Type.String(),
  thinking: Type.Optional(Type.String()),
  images: Type.Optional(Type.Array(Type.String())),
  tool_calls: Type.Optional(Type.Array(Type.Unknown())),
  tool_name: Type.Optional(Type.String()),
});
export type Message = Static<typeof Message>;

const Messages = Type.Array(Message);
const Tools = Type.Array(Type.Object({ type: Type.String(), function: Type.Unknown() }));

/** @throws UsageError naming the flag and the file */
async function readJson(flag: string, file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new UsageError(`--${flag}: cannot read "${file}": ${errorMessage(error)}`, {
      cause: error,
    });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--${flag}: "${file}" is no JSON: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/** `json`, a schema as JSON text, or a file with a schema; other texts are the server's to refuse. */
export async function readFormat(text: string | undefined): Promise<unknown> {
  const value = text === undefined ? undefined : formatValue(text);
  if (typeof value !== "string" || value === "json") return value;
  const isFile = /\.json$/i.test(value) || (await Bun.file(value).exists());
  return isFile ? readJson("format", value) : value;
}

/** `--option k=v`, `--seed`, `--max-tokens`. @throws UsageError naming the flag */
export function readOptions(parsed: ParsedArguments): Json {
  const given = new Map<string, { flag: string; texts: string[] }>();
  for (const pair of flagTexts(parsed, "option")) {
    const at = pair.indexOf("=");
    if (at <= 0) throw new UsageError(`--option: "${pair}" is no NAME=VALUE`);
    const name = pair.slice(0, at);
    const before = given.get(name)?.texts ?? [];
    given.set(name, { flag: `--option ${name}`, texts: [...before, pair.slice(at + 1)] });
  }
  for (const [name, flag] of [
    ["seed", "seed"],
    ["num_predict", "max-tokens"],
  ] as const) {
    const text = flagText(parsed, flag);
    if (text !== undefined) given.set(name, { flag: `--${flag}`, texts: [text] });
  }
  const options: Json = {};
  for (const [name, { flag, texts }] of given) {
    try {
      const value = typeParameter(name, name === "stop" ? texts : texts.slice(-1));
      options[name] = typeof value === "bigint" ? Number(value) : value;
    } catch (error) {
      throw new UsageError(`${flag}: ${errorMessage(error)}`, { cause: error });
    }
  }
  return options;
}

/** `--messages FILE`, then each `--message role:text`. @throws UsageError */
export async function readMessages(parsed: ParsedArguments): Promise<Message[]> {
  const messages: Message[] = [];
  for (const file of flagTexts(parsed, "messages")) {
    const value = await readJson("messages", file);
    if (!Value.Check(Messages, value)) {
      const first = Value.Errors(Messages, value).First();
      throw new UsageError(`--messages: "${file}"${first?.path ?? ""}: ${first?.message ?? ""}`);
    }
    messages.push(...value);
  }
  for (const text of flagTexts(parsed, "message")) {
    const [, role, content] = /^(system|user|assistant|tool):(.*)$/s.exec(text) ?? [];
    if (role === undefined || content === undefined) {
      throw new UsageError(
        `--message: "${text}" does not begin with "system:", "user:", "assistant:" or "tool:"`,
      );
    }
    messages.push({ role, content });
  }
  return messages;
}

/** The tools of a file, as the API takes them. @throws UsageError */
export async function readTools(file: string | undefined): Promise<unknown[] | undefined> {
  if (file === undefined) return undefined;
  const value = await readJson("tools", file);
  if (Value.Check(Tools, value)) return value;
  const first = Value.Errors(Tools, value).First();
  throw new UsageError(`--tools: "${file}"${first?.path ?? ""}: ${first?.message ?? ""}`);
}

/**
 * Lines of a batch: OpenAI's (`custom_id`, `method`, `url`, `body`) or a bare body of the API, in; what
 * came back, with the same id, out. Pure.
 */
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Json } from "./client.ts";

const OpenAiLine = t.Object({
  custom_id: t.String(),
  method: t.Optional(t.Literal("POST")),
  url: t.String({ pattern: "^/(v1|api)/" }),
  body: t.Record(t.String(), t.Unknown()),
});
const BareLine = t.Record(t.String(), t.Unknown());

export interface Task {
  readonly id: string;
  readonly path: string;
  readonly body: Json;
}

/** What is wrong with a line; the others go on. */
export interface BadLine {
  readonly id: string;
  readonly problem: string;
}

/** Where a bare body goes, by what it asks. */
function endpointOf(body: Json): string | undefined {
  if ("messages" in body) return "/api/chat";
  if ("prompt" in body) return "/api/generate";
  if ("input" in body) return "/api/embed";
  return undefined;
}

/**
 * @param number of the line, from 1: its id when it has none
 * @param model for lines that name none
 */
export function readLine(text: string, number: number, model: string | undefined): Task | BadLine {
  const fallback = `line-${number}`;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { id: fallback, problem: `line ${number} is no JSON` };
  }
  const finish = (id: string, path: string, body: Json): Task => ({
    id,
    path,
    body: { ...(model === undefined ? {} : { model }), ...body, stream: false },
  });
  if (Value.Check(OpenAiLine, json)) return finish(json.custom_id, json.url, json.body);
  if (!Value.Check(BareLine, json)) {
    return { id: fallback, problem: `line ${number} is no JSON object` };
  }
  const { custom_id, ...body } = json;
  const id = typeof custom_id === "string" ? custom_id : fallback;
  if ("url" in body || "method" in body) {
    const first = Value.Errors(OpenAiLine, json).First();
    return { id, problem: `line ${number}: ${first?.path ?? ""}: ${first?.message ?? ""}` };
  }
  const path = endpointOf(body);
  if (path === undefined) {
    return { id, problem: `line ${number} has neither "messages", "prompt" nor "input"` };
  }
  return finish(id, path, body);
}

const OutputLine = t.Object({
  custom_id: t.String(),
  response: t.Union([t.Object({ status_code: t.Integer(), body: t.Unknown() }), t.Null()]),
  error: t.Union([t.Object({ code: t.String(), message: t.String() }), t.Null()]),
});
export type OutputLine = Static<typeof OutputLine>;

export function renderLine(line: OutputLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** Whether a request was answered as asked. */
export function succeeded({ response }: OutputLine): boolean {
  return response !== null && response.status_code < 400;
}

/**
 * What an output file holds already: whole lines only, a torn last one is dropped.
 * @returns ids in order, bytes of the whole lines, and whether one of them failed;
 * undefined when a line is none of a batch
 */
export function readOutput(
  text: string,
): { ids: string[]; bytes: number; failed: number } | undefined {
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  const ids: string[] = [];
  let failed = 0;
  for (const line of whole.split("\n").slice(0, -1)) {
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch {
      return undefined;
    }
    if (!Value.Check(OutputLine, json)) return undefined;
    ids.push(json.custom_id);
    if (!succeeded(json)) failed++;
  }
  return { ids, bytes: Buffer.byteLength(whole), failed };
}

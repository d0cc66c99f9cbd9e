/**
 * Whole chat and generate calls through the application, on an engine whose answers are written
 * beforehand: the prompt that the engine gets, and all lines of the answer, streamed and in one piece.
 */
import { type Application, openApplication } from "../../support/application.ts";
import type { Answer } from "../../support/scripted-engine.ts";
import type { KindContext, KindRunner } from "./context.ts";

type Line = Record<string, unknown>;

interface Wire {
  status?: number;
  lines: Line[];
}

interface ToolCall {
  function: { name: string };
}

interface Vector {
  id: string;
  endpoint: "chat" | "generate";
  create: Record<string, unknown>;
  arch?: string;
  request: Record<string, unknown>;
  passes: { content: string }[][];
  reason?: "stop" | "length";
  done_text?: string;
  runner_requests: { prompt: string }[] | null;
  single: Wire;
  stream: Wire;
}

const unrecorded = /^(model|created_at|total_duration|load_duration|context)$/;
const name = "vector-model";

/** A text as it is compared; how a parser failed is told in JavaScript's words here, in Go's there. */
function maskedText(text: string): string {
  return text
    .replaceAll(name, "<MODEL>")
    .replace(/^call_[a-z0-9]{8}$/, "<ID>")
    .replace(/^(failed to parse JSON: |error parsing tool call: raw=.*, err=).+$/s, "$1");
}

/** A line as it is compared: what differs from run to run is left out or masked. */
function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value === "string") return maskedText(value);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !unrecorded.test(key))
      .map(([key, item]) => [key, masked(item)]),
  );
}

const texts = (pass: readonly { content: string }[] = []) => pass.map(({ content }) => content);

/**
 * What the engine says. With a format the reference runs a second time after thinking, constrained;
 * here the constraint begins in the same run, so that the second text follows the thinking at once.
 */
function answerOf(vector: Vector): Answer {
  const [first, second] = vector.passes;
  const steps = texts(first);
  if (second !== undefined) {
    const end = steps.findIndex((text) => text.includes("</think>")) + 1;
    if (end > 0) steps.splice(end, steps.length, ...texts(second));
  }
  const { reason = "stop", done_text: last } = vector;
  const evalTokens = (vector.passes.at(-1) ?? []).length;
  const counts = { promptTokens: 7, promptNs: 11_000_000, evalTokens, evalNs: 13_000_000 };
  return { steps: last === undefined ? steps : [...steps, last], reason, counts };
}

async function call(application: Application, vector: Vector, stream: boolean): Promise<Wire> {
  application.engine.requests.length = 0;
  application.engine.answers = [answerOf(vector)];
  const body = { model: name, ...vector.request, stream };
  const answer = await application.send("POST", `/api/${vector.endpoint}`, body);
  const text = (await answer.text()).trim();
  const lines = text.split("\n").map((line) => masked(JSON.parse(line)) as Line);
  return answer.status === 200 ? { lines } : { lines, status: answer.status };
}

function promptsOf(application: Application): string[] {
  return application.engine.requests.map(({ prompt }) =>
    prompt
      .map((part) =>
        "tokens" in part ? String.fromCodePoint(...part.tokens) : "text" in part ? part.text : "",
      )
      .join(""),
  );
}

/** A line's part that holds texts and calls. */
const partOf = (line: Line) => (line.message as Line | undefined) ?? line;

const isBlank = (line: Line) => {
  const { content, response, thinking, tool_calls: calls } = partOf(line);
  return line.done === false && !content && !response && thinking === undefined && !calls;
};

/**
 * The recorded lines as hutch sends them: a text that came with the engine's last event in a line of
 * its own, no empty line where the reference begins its second run.
 */
function wantedLines(vector: Vector, recorded: Wire, stream: boolean): Wire {
  const wanted = masked(recorded) as Wire;
  if (!stream) return wanted;
  const last = wanted.lines.at(-1) ?? {};
  const key = "content" in partOf(last) ? "content" : "response";
  if (vector.done_text !== undefined && partOf(last)[key] === vector.done_text) {
    const part = (text: string) =>
      last.message === undefined
        ? { response: text }
        : { message: { ...partOf(last), content: text } };
    wanted.lines.splice(
      -1,
      1,
      { done: false, ...part(vector.done_text) },
      { ...last, ...part("") },
    );
  }
  if (vector.passes.length > 1) wanted.lines = wanted.lines.filter((line) => !isBlank(line));
  return wanted;
}

/** Without the calls that the reference lost beside text, or before the last step of generate. */
function withoutFoundCalls(actual: Wire, wanted: Wire, vector: Vector): Wire {
  const calls = actual.lines.flatMap((line) => (partOf(line).tool_calls ?? []) as ToolCall[]);
  const lost = !wanted.lines.some((line) => partOf(line).tool_calls !== undefined);
  const written = vector.passes.flatMap(texts).join("");
  if (!lost || calls.length === 0 || !calls.every((call) => written.includes(call.function.name)))
    return actual;
  const lines = actual.lines.map((line) => {
    const { tool_calls: _, ...part } = partOf(line);
    return line.message === undefined ? part : { ...line, message: part };
  });
  return { ...actual, lines: lines.filter((line) => !isBlank(line)) };
}

/** `format` that is neither `json` nor a schema is refused (api.md 7.3); the reference lets it pass. */
const refusesFormat = ({ request: { format } }: Vector) =>
  typeof format === "string" && format !== "" && format !== "json";

/**
 * The model never thinks, so that the reference never constrains it. Here the engine is told to, and
 * would not write such a text.
 */
const breaksFormat = (vector: Vector) =>
  vector.passes.length > 1 && !texts(vector.passes[0]).join("").includes("</think>");

async function checkVector(vector: Vector, { check }: KindContext): Promise<void> {
  await using application = openApplication();
  await application.create(name, vector.create, vector.arch);
  const actual = { stream: await call(application, vector, true), prompts: promptsOf(application) };
  const single = await call(application, vector, false);
  if (refusesFormat(vector)) {
    const isError = ({ lines }: Wire) => typeof lines.at(-1)?.error === "string";
    check(`${vector.id} is refused`, [isError(actual.stream), isError(single)], [true, true]);
    return;
  }
  const prompts = (vector.runner_requests ?? []).map(({ prompt }) => prompt);
  check(`${vector.id} prompt`, actual.prompts, prompts.slice(0, 1));
  if (vector.request.format !== undefined) {
    const constrained = application.engine.requests.every(({ constraint }) => constraint);
    check(`${vector.id} is constrained`, constrained, true);
  }
  if (breaksFormat(vector)) return;
  for (const [form, got] of [
    ["stream", actual.stream],
    ["single", single],
  ] as const) {
    const wanted = wantedLines(vector, vector[form], form === "stream");
    check(`${vector.id} ${form}`, withoutFoundCalls(got, wanted, vector), wanted);
  }
}

export const chatStream: KindRunner = async (data, context) => {
  for (const vector of data.vectors as Vector[]) await checkVector(vector, context);
};

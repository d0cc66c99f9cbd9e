/** The answer to a request as pieces of thinking, content and tool calls, whatever dialect sends them. */
import type { ParsedCall } from "../../chat/output.ts";
import type { GenerateEvent } from "../../engine/engine.ts";
import type { ServerDeps } from "../deps.ts";
import { type RunRequest, runPrompt } from "./generation.ts";
import type { OutputReader } from "./output.ts";

export type Done = Extract<GenerateEvent, { type: "done" }>;
export type Logprobs = NonNullable<Extract<GenerateEvent, { type: "text" }>["logprobs"]>;

/** What one step of the engine yielded; all empty where the text so far is ambiguous. */
export interface AnswerPiece {
  readonly content: string;
  readonly thinking: string;
  readonly calls: readonly ParsedCall[];
  readonly logprobs: Logprobs | undefined;
  /** Of the last piece. */
  readonly done: Done | undefined;
}

/** A piece for each step, the last one with `done`. @throws the engine's errors, OutputParseError */
export async function* answer(
  deps: ServerDeps,
  run: Omit<RunRequest, "visible">,
  { parser, visible }: OutputReader,
  signal: AbortSignal,
): AsyncGenerator<AnswerPiece> {
  for await (const event of runPrompt(deps, { ...run, visible }, signal)) {
    const done = event.type === "done" ? event : undefined;
    const output = parser.add(event.type === "done" ? "" : event.text, done !== undefined);
    yield { ...output, logprobs: event.type === "done" ? undefined : event.logprobs, done };
  }
}

/** The answer to a request as pieces of thinking, content and tool calls, whatever dialect sends them. */
import type { ParsedCall } from "../../chat/output.ts";
import type { GenerateEvent } from "../../engine/engine.ts";
import type { ServerDeps } from "../deps.ts";
import { FormatJudge, type FormatPlan } from "./format.ts";
import { type RunRequest, runPrompt } from "./generation.ts";
import type { OutputReader } from "./output.ts";
import { strictTools } from "./strict-tools.ts";

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
  /** Of the last piece: what is wrong with the form of an answer that its length limit cut. */
  readonly broken?: string | undefined;
}

export interface AnswerRequest extends Omit<RunRequest, "visible" | "constraint"> {
  /** The form that the answer is to have. */
  readonly format: FormatPlan | undefined;
}

/**
 * A piece for each step, the last one with `done`.
 * @throws FormatError instead of the last piece, the engine's errors, OutputParseError
 */
export async function* answer(
  deps: ServerDeps,
  { format, ...run }: AnswerRequest,
  reader: OutputReader,
  signal: AbortSignal,
): AsyncGenerator<AnswerPiece> {
  const { parser, visible, thinking } = reader;
  const { model } = run.lease;
  const judge = FormatJudge.of(format, model, thinking);
  const constraint = judge?.use ?? (await strictTools(deps, reader, model, signal));
  for await (const event of runPrompt(deps, { ...run, visible, constraint }, signal)) {
    if (event.type === "done") {
      const rest = parser.add("", true);
      const broken = await judge?.end(event.reason, signal);
      yield { ...rest, logprobs: undefined, done: event, broken };
    } else {
      judge?.add(event.text);
      yield { ...parser.add(event.text, false), logprobs: event.logprobs, done: undefined };
    }
  }
}

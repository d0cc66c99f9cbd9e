/** The answer to a request as pieces of thinking, content and tool calls, whatever dialect sends them. */
import type { ParsedCall } from "../../chat/output.ts";
import type { GenerateEvent } from "../../engine/engine.ts";
import type { ServerDeps } from "../deps.ts";
import { FormatJudge, type FormatPlan } from "./format.ts";
import { type RunRequest, runPrompt } from "./generation.ts";
import type { OutputReader } from "./output.ts";
import { strictTools } from "./strict-tools.ts";

export type Done = Extract<GenerateEvent, { type: "done" }>;
export type Step = Extract<GenerateEvent, { type: "text" }>;
export type Logprobs = NonNullable<Step["logprobs"]>;

/** What one step of the engine yielded; all empty where the text so far is ambiguous. */
export interface AnswerPiece {
  readonly content: string;
  readonly thinking: string;
  readonly calls: readonly ParsedCall[];
  readonly logprobs: Logprobs | undefined;
  /** Of the last piece: what is wrong with the form of an answer that its length limit cut. */
  readonly broken?: string | undefined;
}

export interface AnswerRequest extends Omit<RunRequest, "visible" | "constraint"> {
  /** The form that the answer is to have. */
  readonly format: FormatPlan | undefined;
}

/** An answer while it is written: its events, and what each of them brings. */
export interface Answering<Piece> {
  readonly events: AsyncIterable<GenerateEvent>;
  /** What a step brings. */
  text(event: Step): Piece;
  /** What comes last. @throws FormatError instead of it, OutputParseError */
  end(event: Done): Promise<NonNullable<Piece>>;
}

/**
 * Begins an answer. Its events are no pieces yet, so that a token goes through no more generators.
 * @throws the engine's errors, as do the events
 */
export async function beginAnswer(
  deps: ServerDeps,
  { format, ...run }: AnswerRequest,
  reader: OutputReader,
  signal: AbortSignal,
): Promise<Answering<AnswerPiece>> {
  const { parser, visible, thinking } = reader;
  const { model } = run.lease;
  const judge = FormatJudge.of(format, model, thinking);
  const constraint = judge?.use ?? (await strictTools(deps, reader, model, signal));
  return {
    events: runPrompt(deps, { ...run, visible, constraint }, signal),
    text({ text, logprobs }) {
      judge?.add(text);
      return { ...parser.add(text, false), logprobs };
    },
    async end(done) {
      const rest = parser.add("", true);
      const broken = await judge?.end(done.reason, signal);
      return { ...rest, logprobs: undefined, broken };
    },
  };
}

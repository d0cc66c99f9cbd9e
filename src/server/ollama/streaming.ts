/** What a run holds while it lasts: the lease, the signal of its client, the stream of its lines. */
import { InvalidRequestError } from "../../errors.ts";
import { type Priority, priorities, type TurnTerms } from "../../scheduler/turns.ts";
import { Deadlines, headerLimits, setDeadlines } from "../inference/deadlines.ts";
import { type RequestRecord, recordOf, setRecord } from "../operations/records.ts";
import { ndjson } from "../stream/ndjson.ts";
import { codeOf, errorBody, errorResponse, withCode } from "./errors.ts";
import { wantsErrorCodes } from "./measures.ts";

/** `X-Hutch-Priority: low|normal|high`, hutch's own. @throws InvalidRequestError */
function priorityOf(request: Request): Priority {
  const text = request.headers.get("x-hutch-priority")?.trim().toLowerCase();
  if (text === undefined || text === "") return "normal";
  const found = priorities.find((priority) => priority === text);
  if (found !== undefined) return found;
  throw new InvalidRequestError(
    `header X-Hutch-Priority: ${JSON.stringify(text)}: expected low, normal or high`,
  );
}

/** A plain JSON answer. */
export function respond(json: string): Response {
  return new Response(json, { headers: { "content-type": "application/json; charset=utf-8" } });
}

export interface RunScope {
  /** Who asks, and how urgent it is. */
  readonly terms: TurnTerms;
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal;
  /** True once the answer streams: then the end of the stream ends the scope. */
  readonly streaming: boolean;
  /** Why the work really ended: a deadline that was over shows itself as an abort, or as nothing. */
  reason(error: unknown): unknown;
  /** Gives something to be disposed of at the end. */
  hold(lease: Disposable): void;
  /** Frees what is held; any number of times. */
  end(): void;
  /** Answers with lines; the scope ends with them. @throws what they throw before the first one */
  stream(lines: AsyncGenerator<string>, errorLine: (error: unknown) => string): Promise<Response>;
}

class Scope implements RunScope {
  readonly #abort = new AbortController();
  readonly #request: Request;
  readonly #record: RequestRecord | undefined;
  readonly terms: TurnTerms;
  readonly #leave = () => this.#abort.abort();
  readonly #deadlines: Deadlines;
  #held: Disposable[] = [];
  streaming = false;

  constructor(request: Request) {
    this.#request = request;
    this.#record = recordOf(request);
    this.terms = { client: this.#record?.client ?? "", priority: priorityOf(request) };
    this.#deadlines = new Deadlines(headerLimits(request.headers), this.#leave);
    setDeadlines(this.signal, this.#deadlines);
    if (this.#record !== undefined) setRecord(this.signal, this.#record);
    if (request.signal.aborted) this.#leave();
    else request.signal.addEventListener("abort", this.#leave);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  hold(lease: Disposable): void {
    this.#held.push(lease);
  }

  end(): void {
    this.#deadlines.end();
    this.#request.signal.removeEventListener("abort", this.#leave);
    for (const held of this.#held.splice(0)) held[Symbol.dispose]();
    if (this.streaming) this.#record?.release();
  }

  reason(error: unknown): unknown {
    return this.#deadlines.expired ?? error;
  }

  async stream(
    lines: AsyncGenerator<string>,
    errorLine: (error: unknown) => string,
  ): Promise<Response> {
    const told = wantsErrorCodes(this.#request) ? withCode(errorLine) : errorLine;
    const response = await ndjson(lines, {
      reason: (error) => {
        const reason = this.reason(error);
        this.#record?.note({ error: codeOf(reason) });
        return reason;
      },
      errorLine: told,
      onLeave: () => {
        this.#record?.note({ error: "canceled" });
        this.#leave();
      },
      onEnd: () => this.end(),
    });
    this.streaming = true;
    this.#record?.hold();
    return response;
  }
}

export function runScope(request: Request): RunScope {
  return new Scope(request);
}

async function* jsonLines(values: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const value of values) yield JSON.stringify(value);
}

/**
 * Answers with the progress of long work that no model does: lines as they come, or the last one alone.
 * @param stream as the body says
 */
export async function progressAnswer(
  statuses: (signal: AbortSignal) => AsyncGenerator<unknown>,
  stream: boolean | undefined,
  request: Request,
): Promise<Response> {
  const scope = runScope(request);
  try {
    const progress = statuses(scope.signal);
    if (stream !== false) return await scope.stream(jsonLines(progress), errorBody);
    let last: unknown = {};
    for await (const status of progress) last = status;
    return new Response(JSON.stringify(last), { headers: { "content-type": "application/json" } });
  } catch (error) {
    return errorResponse(scope.reason(error), { plain: true });
  } finally {
    if (!scope.streaming) scope.end();
  }
}

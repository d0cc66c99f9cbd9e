/**
 * One record a request: its id, and at its end one line in the log and its figures. A streamed answer
 * ends when its last line is written, long after the handler returned: whoever streams holds the record.
 */
import { randomUUID } from "node:crypto";
import type { LogFields, Logger } from "../../logger.ts";
import type { Metrics } from "./metrics.ts";

/** A client's own id is taken over when it is short and plain. */
const plainId = /^[\w.:/+=-]{1,128}$/;

export interface RequestRecord {
  readonly id: string;
  /** Who asks: the same text for all requests with one key, else from one address. */
  readonly client: string;
  /** Adds what is known of the work: model, tokens. Never prompts. */
  note(fields: LogFields): void;
  /** The answer goes on after its headers. */
  hold(): void;
  /** The held answer is whole, or its client has left. */
  release(): void;
}

type Finish = (seconds: number, status: number, fields: LogFields) => void;

class OpenRecord implements RequestRecord {
  readonly id: string;
  readonly #since = performance.now();
  readonly #finish: Finish;
  readonly #fields: Record<string, LogFields[string]> = {};
  #held = false;
  #status: number | undefined;
  #over = false;

  constructor(
    given: string | null,
    readonly client: string,
    finish: Finish,
  ) {
    this.id = given !== null && plainId.test(given) ? given : randomUUID();
    this.#finish = finish;
  }

  note(fields: LogFields): void {
    Object.assign(this.#fields, fields);
  }

  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#end();
  }

  answered(status: number): void {
    this.#status = status;
    this.#end();
  }

  #end(): void {
    if (this.#held || this.#status === undefined || this.#over) return;
    this.#over = true;
    this.#finish((performance.now() - this.#since) / 1000, this.#status, this.#fields);
  }
}

/** Records by the request object that handlers see. */
const records = new WeakMap<Request, OpenRecord>();

export function recordOf(request: Request): RequestRecord | undefined {
  return records.get(request);
}

/** Nanoseconds as the log tells them: milliseconds with two digits. */
export function milliseconds(ns: number): number {
  return Math.round(ns / 1e4) / 100;
}

/** Records by the signal that aborts when their client leaves: whoever works for a request has that. */
const bySignal = new WeakMap<AbortSignal, RequestRecord>();

/** Gives a signal its record. */
export function setRecord(signal: AbortSignal, record: RequestRecord): void {
  bySignal.set(signal, record);
}

/** Adds to the log line of the request that a signal belongs to, where it has one. Never prompts. */
export function noteFor(signal: AbortSignal, fields: LogFields): void {
  bySignal.get(signal)?.note(fields);
}

export interface RequestLog {
  /** Begins a record; `route` is the pattern of the path. */
  begin(request: Request, route: string, address: string): RequestRecord;
  /** The same request under another object. */
  alias(request: Request, other: Request): void;
  answered(request: Request, status: number): void;
}

export function createRequestLog(logger: Logger, metrics: Metrics): RequestLog {
  return {
    begin(request, route, address) {
      const { method } = request;
      const record = new OpenRecord(
        request.headers.get("x-request-id"),
        request.headers.get("authorization") ?? address,
        (seconds, status, fields) => {
          metrics.request(route, status, seconds);
          // The client has its answer first.
          setImmediate(() => {
            logger.info("request", {
              id: record.id,
              method,
              route,
              status,
              ms: milliseconds(seconds * 1e9),
              ...fields,
            });
          });
        },
      );
      records.set(request, record);
      return record;
    },
    alias(request, other) {
      const record = records.get(request);
      if (record !== undefined) records.set(other, record);
    },
    answered: (request, status) => records.get(request)?.answered(status),
  };
}

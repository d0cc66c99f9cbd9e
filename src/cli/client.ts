/** A client of the HTTP API over any transport: a server, or the application in this process. */
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { ConnectionError, errorMessage, ServerError } from "../errors.ts";
import { version } from "../version.ts";

export type Transport = (request: Request) => Promise<Response>;

/** Longest line of a stream, bytes (cli.md 2). */
const longestLine = 8_000_000;

const JsonObject = t.Record(t.String(), t.Unknown());
export type Json = Static<typeof JsonObject>;

const ErrorBody = t.Object({ error: t.String() });

/** Undefined for text that is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @throws ServerError for what only another program than a model server can have sent */
function objectOf(text: string, status: number): Json {
  const value = parsed(text);
  if (Value.Check(JsonObject, value)) return value;
  throw new ServerError(`the server answered no JSON object: ${text.slice(0, 200)}`, status);
}

export class Client {
  readonly #base: string;
  readonly #transport: Transport;
  /**
   * Takes a file of this machine into the store without sending it; returns its digest. Only when the
   * application is in this process.
   */
  readonly takeFile: ((path: string) => Promise<string>) | undefined;

  constructor(base: string, transport: Transport, takeFile?: (path: string) => Promise<string>) {
    this.#base = base;
    this.#transport = transport;
    this.takeFile = takeFile;
  }

  async #send(
    method: string,
    path: string,
    body: unknown,
    init: RequestInit,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    const request = new Request(this.#base + path, {
      method,
      headers: {
        "content-type": "application/json",
        accept: "application/json",
        "user-agent": `hutch/${version} (${process.arch} ${process.platform})`,
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...init,
    });
    try {
      return await this.#transport(request);
    } catch (cause) {
      if (init.signal?.aborted) throw cause;
      throw new ConnectionError(errorMessage(cause), { cause });
    }
  }

  /** One answer. @throws ServerError with the body's error text */
  async call(method: string, path: string, body?: unknown, init: RequestInit = {}): Promise<Json> {
    const response = await this.#send(method, path, body, init);
    const text = await response.text();
    if (response.ok) return text === "" ? {} : objectOf(text, response.status);
    throw new ServerError(errorText(text), response.status, kindOf(response));
  }

  /** One answer as it is, whatever its status. */
  async exchange(
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<{ status: number; body: unknown }> {
    const response = await this.#send(method, path, body, { signal });
    const text = await response.text();
    return { status: response.status, body: parsed(text) ?? text };
  }

  /** Status only. */
  async head(path: string): Promise<number> {
    return (await this.#send("HEAD", path, undefined, {})).status;
  }

  /** Any request; its answer whatever the status. */
  request(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    return this.#send(method, path, undefined, init);
  }

  /** Sends bytes. @throws ServerError */
  async upload(path: string, body: ReadableStream<Uint8Array> | Blob): Promise<void> {
    const response = await this.#send("POST", path, undefined, { body });
    if (!response.ok) {
      throw new ServerError(errorText(await response.text()), response.status, kindOf(response));
    }
  }

  /** The objects of a stream. @throws ServerError, also for an error line in mid-stream */
  async *stream(path: string, body: unknown, signal?: AbortSignal): AsyncGenerator<Json> {
    const init = signal === undefined ? {} : { signal };
    const response = await this.#send("POST", path, body, init, { "x-hutch-extras": "errors" });
    if (!response.ok) {
      const reason = statusTexts[response.status] ?? response.statusText;
      const text = errorText(await response.text());
      throw new ServerError(
        `${response.status} ${reason}: ${text}`,
        response.status,
        kindOf(response),
      );
    }
    for await (const line of linesOf(response)) {
      const object = objectOf(line, response.status);
      if (typeof object.error === "string" && object.error !== "") {
        const kind = typeof object.code === "string" ? object.code : undefined;
        throw new ServerError(object.error, response.status, kind);
      }
      yield object;
    }
  }
}

const statusTexts: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  409: "Conflict",
  499: "",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
};

/** The server's own code of an error, where it is a hutch. */
function kindOf(response: Response): string | undefined {
  return response.headers.get("x-hutch-error") ?? undefined;
}

function errorText(body: string): string {
  if (body === "") return "something went wrong, please see the hutch server logs for details";
  const value = parsed(body);
  return Value.Check(ErrorBody, value) ? value.error : body;
}

async function* linesOf(response: Response): AsyncGenerator<string> {
  if (response.body === null) return;
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of response.body) {
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      if (line !== "") yield line;
    }
    if (rest.length > longestLine) throw new ServerError("a line of the answer is too long", 200);
  }
  if (rest !== "") yield rest;
}

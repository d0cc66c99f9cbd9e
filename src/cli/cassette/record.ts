/** Records: passes every request on to a server, and keeps what was asked and answered. */
import { bodyOf, type Exchange } from "./format.ts";

/** Headers that belong to one connection, or that fetch makes itself. */
const own = ["host", "connection", "content-length", "accept-encoding", "transfer-encoding"];

function passedOn(request: Request): Headers {
  const headers = new Headers(request.headers);
  for (const name of own) headers.delete(name);
  // What is kept must be readable.
  headers.set("accept-encoding", "identity");
  return headers;
}

/** Keeps a stream while it is passed on; `done` gets its pieces when it has ended well. */
async function* kept(
  body: ReadableStream<Uint8Array>,
  done: (pieces: Exchange["pieces"]) => void,
): AsyncGenerator<Uint8Array> {
  const pieces: Exchange["pieces"] = [];
  let last = performance.now();
  for await (const chunk of body) {
    const now = performance.now();
    pieces.push([Math.round(now - last), Buffer.from(chunk).toString("base64")]);
    last = now;
    yield chunk;
  }
  done(pieces);
}

/**
 * @param upstream base URL of the server
 * @param send how it is asked
 * @param keep gets each exchange once its answer is whole; those that broke off are not kept
 */
export function recorder(
  upstream: string,
  send: (url: string, init: RequestInit) => Promise<Response>,
  keep: (exchange: Exchange) => void,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const { pathname, search } = new URL(request.url);
    const bytes = new Uint8Array(await request.arrayBuffer());
    const asked = { request: `${request.method} ${pathname}${search}`, body: bodyOf(bytes) };
    const answer = await send(`${upstream}${pathname}${search}`, {
      method: request.method,
      headers: passedOn(request),
      signal: request.signal,
      ...(bytes.length > 0 ? { body: bytes } : {}),
    });
    const { status } = answer;
    const contentType = answer.headers.get("content-type") ?? "";
    const whole = (pieces: Exchange["pieces"]) => keep({ ...asked, status, contentType, pieces });
    const headers = { "content-type": contentType };
    if (answer.body !== null) return new Response(kept(answer.body, whole), { status, headers });
    whole([]);
    return new Response(null, { status, headers });
  };
}

/** Replays: answers from a cassette, without a model and without a server. */
import { bodyOf, type Cassette, type Exchange } from "./format.ts";

async function* piecesOf({ pieces }: Exchange, timing: boolean): AsyncGenerator<Uint8Array> {
  for (const [delay, base64] of pieces) {
    if (timing && delay > 0) await Bun.sleep(delay);
    yield Buffer.from(base64, "base64");
  }
}

/** @param timing whether pieces come as slowly as they were recorded */
export function replayer(
  cassette: Cassette,
  timing: boolean,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const { pathname, search } = new URL(request.url);
    const name = `${request.method} ${pathname}${search}`;
    const body = bodyOf(new Uint8Array(await request.arrayBuffer()));
    const found = cassette.find(name, body);
    if (found === undefined) {
      // Not 404: clients take that for a missing model, and would pull it.
      const error = `not in the cassette: ${name} ${JSON.stringify(body)}`.slice(0, 1000);
      return Response.json({ error }, { status: 500 });
    }
    const { status, contentType, pieces } = found;
    const headers = { "content-type": contentType };
    return pieces.length === 0
      ? new Response(null, { status, headers })
      : new Response(piecesOf(found, timing), { status, headers });
  };
}

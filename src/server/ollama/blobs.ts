/** `HEAD` and `POST /api/blobs/:digest` (api.md 10.3). Bodies of any size go to disk as they arrive. */
import { Elysia } from "elysia";
import { BlobNotFoundError } from "../../errors.ts";
import { type Digest, parseDigest } from "../../model/digest.ts";
import type { ServerDeps } from "../deps.ts";

/** The digest in a path; undefined when its percent escapes are broken. @throws DigestFormatError */
function digestParam(text: string | undefined): Digest {
  return parseDigest(text ?? "");
}

function headBlob({ store }: ServerDeps, text: string | undefined): Response {
  const digest = digestParam(text);
  if (!store.hasBlob(digest)) throw new BlobNotFoundError(`blob "${digest}" not found`);
  return new Response(null, { status: 200 });
}

/** A body as it arrives. */
export async function* bodyOf(request: Request): AsyncGenerator<Uint8Array> {
  if (request.body === null) return;
  for await (const chunk of request.body) yield chunk;
}

async function postBlob(
  { store }: ServerDeps,
  text: string | undefined,
  request: Request,
): Promise<Response> {
  const digest = digestParam(text);
  if (store.hasBlob(digest)) {
    // The body is drained, so that clients that still send see no broken pipe.
    for await (const _ of bodyOf(request));
    return new Response(null, { status: 200 });
  }
  await store.putStream(bodyOf(request), digest);
  return new Response(null, { status: 201 });
}

export const blobRoutes = (deps: ServerDeps) =>
  new Elysia({ name: "blobs" })
    .head("/api/blobs/:digest", ({ params }) => headBlob(deps, params.digest))
    .post("/api/blobs/:digest", ({ params, request }) => postBlob(deps, params.digest, request), {
      parse: "none",
    });

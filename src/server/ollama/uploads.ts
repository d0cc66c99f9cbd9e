/**
 * `HEAD` and `PATCH /api/hutch/uploads/:digest`: blobs in pieces, hutch's own. HEAD says how many bytes
 * are there; PATCH with `Content-Range: bytes N-M/TOTAL` adds those that follow. What broke off is kept
 * for a day.
 */
import { Elysia } from "elysia";
import { InvalidRequestError } from "../../errors.ts";
import { parseDigest } from "../../model/digest.ts";
import type { ServerDeps } from "../deps.ts";
import { bodyOf } from "./blobs.ts";

const offsetHeader = "x-hutch-upload-offset";

function held({ store }: ServerDeps, text: string | undefined): Response {
  const bytes = store.uploadedBytes(parseDigest(text ?? ""));
  return new Response(null, { headers: { [offsetHeader]: String(bytes) } });
}

/** First byte and size of the whole. @throws InvalidRequestError */
function rangeOf(request: Request): { start: number; total: number } {
  const header = request.headers.get("content-range") ?? "";
  const [, start, , total] = /^bytes (\d{1,16})-(-?\d{1,16})\/(\d{1,16})$/.exec(header) ?? [];
  if (start === undefined) {
    throw new InvalidRequestError(`header Content-Range: "${header}": expected bytes N-M/TOTAL`);
  }
  return { start: Number(start), total: Number(total) };
}

async function add(
  { store }: ServerDeps,
  text: string | undefined,
  request: Request,
): Promise<Response> {
  const digest = parseDigest(text ?? "");
  const { start, total } = rangeOf(request);
  const bytes = await store.addToUpload(digest, bodyOf(request), start, total);
  const headers = { [offsetHeader]: String(bytes) };
  return new Response(null, { status: bytes === total ? 201 : 202, headers });
}

export const uploadRoutes = (deps: ServerDeps) =>
  new Elysia({ name: "uploads" })
    .head("/api/hutch/uploads/:digest", ({ params }) => held(deps, params.digest))
    .patch(
      "/api/hutch/uploads/:digest",
      ({ params, request }) => add(deps, params.digest, request),
      { parse: "none" },
    );

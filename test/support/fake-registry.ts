/**
 * A registry in this process, for tests that need no other program: manifests, blobs with ranges,
 * chunked uploads, mounts, tokens. Tests misbehave through `intercept`.
 */
import { createPublicKey, verify } from "node:crypto";

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly host: string;
  readonly authorization: string | null;
  readonly range: string | null;
  readonly userAgent: string | null;
}

export interface FakeRegistry extends AsyncDisposable {
  /** `127.0.0.1:<port>`; `localhost:<port>` is the same server under another host name. */
  readonly host: string;
  readonly blobs: Map<string, Uint8Array>;
  /** By `<repository>:<tag>`. */
  readonly manifests: Map<string, Uint8Array>;
  readonly seen: SeenRequest[];
  /** Whether requests need a token. */
  tokens: boolean;
  /** Answers instead of the registry when it returns something. */
  intercept: (request: Request, url: URL) => Response | undefined | Promise<Response | undefined>;
  /** Stores a model and returns its name for pulls. */
  publish(repository: string, layers: readonly PublishedLayer[], tag?: string): string;
}

export interface PublishedLayer {
  readonly mediaType: string;
  readonly content: Uint8Array;
}

export function sha256(bytes: Uint8Array | string): string {
  return `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
}

/** The bytes of a blob as a storage host answers them, with single ranges. */
export function ranged(bytes: Uint8Array, range: string | null): Response {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
  if (first === undefined) return new Response(bytes);
  const end = Math.min(Number(last) + 1, bytes.length);
  return new Response(bytes.slice(Number(first), end), {
    status: 206,
    headers: { "content-range": `bytes ${first}-${end - 1}/${bytes.length}` },
  });
}

/** Whether a token request is signed with the key that it names (registry.md 7). */
export function signatureOf(request: Request): "ok" | "bad" | "absent" {
  const header = request.headers.get("authorization");
  if (header === null) return "absent";
  const [key = "", signature = ""] = header.split(":");
  const spki = Buffer.concat([
    Buffer.from("302a300506032b6570032100", "hex"),
    Buffer.from(key, "base64").subarray(19),
  ]);
  const empty = Buffer.from(new Bun.CryptoHasher("sha256").digest("hex")).toString("base64");
  const signed = Buffer.from(`GET,${request.url},${empty}`);
  const publicKey = createPublicKey({ key: spki, format: "der", type: "spki" });
  return verify(null, signed, publicKey, Buffer.from(signature, "base64")) ? "ok" : "bad";
}

/** @param certificate with it the registry speaks https */
export function startFakeRegistry(certificate?: { key: string; cert: string }): FakeRegistry {
  const uploads = new Map<string, { bytes: Uint8Array; state: number }>();
  let uploadCount = 0;
  const uploadUrl = (url: URL, id: string) =>
    `${url.origin}${url.pathname.replace(/uploads\/.*$/, `uploads/${id}`)}?_state=${uploads.get(id)?.state}`;

  async function upload(request: Request, url: URL): Promise<Response> {
    if (request.method === "POST") {
      const mount = url.searchParams.get("mount");
      if (mount !== null && registry.blobs.has(mount)) return new Response(null, { status: 201 });
      const id = `u${++uploadCount}`;
      uploads.set(id, { bytes: new Uint8Array(), state: 0 });
      return new Response(null, { status: 202, headers: { location: uploadUrl(url, id) } });
    }
    const id = url.pathname.split("/").at(-1) ?? "";
    const session = uploads.get(id);
    if (session === undefined || url.searchParams.get("_state") !== String(session.state)) {
      return new Response("unknown upload", { status: 404 });
    }
    const range = () => `0-${Math.max(0, session.bytes.length - 1)}`;
    if (request.method === "GET") {
      const headers = { location: uploadUrl(url, id), range: range() };
      return new Response(null, { status: 204, headers });
    }
    if (request.method === "PATCH") {
      const [first] = (request.headers.get("content-range") ?? "").split("-");
      if (Number(first) !== session.bytes.length) return new Response("gap", { status: 416 });
      session.bytes = Buffer.concat([session.bytes, await request.bytes()]);
      session.state++;
      const headers = { location: uploadUrl(url, id), range: range() };
      return new Response(null, { status: 202, headers });
    }
    const digest = url.searchParams.get("digest") ?? "";
    if (sha256(session.bytes) !== digest) return new Response("digest invalid", { status: 400 });
    registry.blobs.set(digest, session.bytes);
    uploads.delete(id);
    return new Response(null, { status: 201 });
  }

  async function answer(request: Request, url: URL): Promise<Response> {
    if (url.pathname === "/token") {
      return signatureOf(request) === "ok"
        ? Response.json({ token: "good" })
        : new Response("no such key", { status: 403 });
    }
    if (registry.tokens && request.headers.get("authorization") !== "Bearer good") {
      const challenge = `Bearer realm="${url.origin}/token",service="test",scope="repository:u/m:pull,push other"`;
      return new Response(null, { status: 401, headers: { "www-authenticate": challenge } });
    }
    if (url.pathname.includes("/blobs/uploads/")) return upload(request, url);
    const [, repository = "", kind, reference = ""] =
      /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(url.pathname) ?? [];
    if (kind === "manifests" && request.method === "PUT") {
      registry.manifests.set(`${repository}:${reference}`, await request.bytes());
      return new Response(null, { status: 201 });
    }
    const found =
      kind === "manifests"
        ? registry.manifests.get(`${repository}:${reference}`)
        : registry.blobs.get(reference);
    if (found === undefined) return new Response("not here", { status: 404 });
    return ranged(found, request.headers.get("range"));
  }

  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    ...(certificate === undefined ? {} : { tls: certificate }),
    async fetch(request) {
      const url = new URL(request.url);
      const header = (name: string) => request.headers.get(name);
      registry.seen.push({
        method: request.method,
        path: url.pathname + url.search,
        host: url.host,
        authorization: header("authorization"),
        range: header("range"),
        userAgent: header("user-agent"),
      });
      return (await registry.intercept(request, url)) ?? answer(request, url);
    },
  });
  const registry: FakeRegistry = {
    host: `127.0.0.1:${server.port}`,
    blobs: new Map(),
    manifests: new Map(),
    seen: [],
    tokens: false,
    intercept: () => undefined,
    publish(repository, layers, tag = "latest") {
      const entries = layers.map(({ mediaType, content }) => {
        registry.blobs.set(sha256(content), content);
        return { mediaType, digest: sha256(content), size: content.length };
      });
      const [config, ...rest] = entries;
      const manifest = { schemaVersion: 2, config, layers: rest };
      // Spread over lines, as a foreign registry may have it: it must be kept byte for byte.
      const bytes = new TextEncoder().encode(JSON.stringify(manifest, null, 2));
      registry.manifests.set(`${repository}:${tag}`, bytes);
      return `${registry.host}/${repository}:${tag}`;
    },
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
  return registry;
}

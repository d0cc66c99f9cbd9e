/** Push, against a registry in this process (registry.md 5). */
import { describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseDigest } from "../../src/model/digest.ts";
import type { Application } from "../support/application.ts";
import { type FakeRegistry, sha256 } from "../support/fake-registry.ts";
import { withRegistry } from "../support/with-registry.ts";

let application: Application;
let registry: FakeRegistry;
let name: string;
withRegistry({ HUTCH_TRANSFER_STALL: "500ms" }, async (scene) => {
  ({ application, registry } = scene);
  name = `${registry.host}/u/m:latest`;
  await application.create("m", { system: "Be brief." });
  await application.send("POST", "/api/copy", { source: "m", destination: name });
});

interface Line {
  readonly status?: string;
  readonly error?: string;
  readonly digest?: string;
}
const push = async (model = name) =>
  (await application.lines("/api/push", { model, insecure: true })) as Line[];
const calls = () =>
  registry.seen.map(({ method, path }) => `${method} ${path.replace(/(u\d+\?|=).*$/, "$1…")}`);
const stored = () => readdirSync(join(application.store.root, "blobs")).toSorted();

describe("pushing", () => {
  test("sends what the registry lacks, layers first, then the manifest as it is stored", async () => {
    const lines = await push();
    expect([lines[0], ...lines.slice(-2)]).toEqual([
      { status: "retrieving manifest" },
      { status: "pushing manifest" },
      { status: "success" },
    ]);
    const manifest = registry.manifests.get("u/m:latest") ?? new Uint8Array();
    const { body } = await application.post("/api/show", { model: name });
    expect((body as { system: string }).system).toBe("Be brief.");
    const tags = (await (await application.send("GET", "/api/tags")).json()) as {
      models: { name: string; digest: string }[];
    };
    const own = tags.models.find((model) => model.name === name);
    expect(sha256(manifest)).toBe(`sha256:${own?.digest}`);
    expect([...registry.blobs].every(([digest, bytes]) => sha256(bytes) === digest)).toBe(true);
    expect(stored().filter((file) => file.includes("upload"))).toEqual([]);
  });

  test("skips what the registry has, with one line each", async () => {
    await push();
    registry.seen.length = 0;
    const lines = await push();
    expect(registry.seen.map(({ method }) => method)).toEqual(["HEAD", "HEAD", "HEAD", "PUT"]);
    expect(lines.filter(({ digest }) => digest !== undefined).length).toBe(3);
  });

  test("takes layers over from the parent's repository", async () => {
    await push();
    await application.post("/api/create", {
      model: `${registry.host}/u/child`,
      from: name,
      system: "Other.",
      stream: false,
    });
    registry.seen.length = 0;
    registry.intercept = (request) =>
      request.method === "HEAD" ? new Response(null, { status: 404 }) : undefined;
    expect((await push(`${registry.host}/u/child`)).at(-1)).toEqual({ status: "success" });
    const starts = registry.seen.filter(({ method }) => method === "POST");
    expect(starts.some(({ path }) => path.includes("?from=u%2Fm&mount=sha256%3A"))).toBe(true);
  });

  test("gets a token where the registry wants one", async () => {
    registry.tokens = true;
    expect((await push()).at(-1)).toEqual({ status: "success" });
    expect(calls().filter((call) => call.startsWith("GET /token")).length).toBe(1);
  });

  test("says clearly when the registry does not know this user", async () => {
    registry.tokens = true;
    registry.intercept = (_, url) =>
      url.pathname === "/token" ? Response.json({ token: "worthless" }) : undefined;
    expect((await push()).at(-1)).toEqual({ error: "unauthorized: access denied" });
  });

  test("tries a part again after a failure that may pass", async () => {
    let failures = 0;
    registry.intercept = (request) =>
      request.method === "PATCH" && failures++ < 2
        ? new Response("later", { status: 503, headers: { "retry-after": "0" } })
        : undefined;
    expect((await push()).at(-1)).toEqual({ status: "success" });
  });

  test("gives up after six failures", async () => {
    registry.intercept = (request) =>
      request.method === "PATCH" ? new Response("full", { status: 507 }) : undefined;
    expect((await push()).at(-1)).toEqual({
      error: "max retries exceeded: http status 507 Insufficient Storage: full",
    });
    expect(registry.manifests.size).toBe(0);
  });

  test("begins anew when the registry has forgotten the upload", async () => {
    let forgotten = false;
    registry.intercept = (request) => {
      if (request.method !== "PATCH" || forgotten) return undefined;
      forgotten = true;
      return new Response("unknown", { status: 404 });
    };
    expect((await push()).at(-1)).toEqual({ status: "success" });
  });

  test("goes on where an earlier push was refused in the middle", async () => {
    const content = new Uint8Array(40_000_000);
    for (let i = 0; i < content.length; i += 1000) content[i] = i % 251;
    const digest = sha256(content);
    await application.store.putStream(
      (async function* () {
        yield content;
      })(),
      parseDigest(digest),
    );
    const file = join(application.store.root, "manifests", registry.host, "u/m/latest");
    const layer = { mediaType: "x", digest, size: content.length };
    writeFileSync(file, JSON.stringify({ schemaVersion: 2, layers: [layer] }));
    const ranges: (string | null)[] = [];
    let refuse = true;
    registry.intercept = (request) => {
      if (request.method !== "PATCH") return undefined;
      const range = request.headers.get("content-range");
      ranges.push(range);
      return refuse && range?.startsWith("32000000-")
        ? new Response("not now", { status: 403 })
        : undefined;
    };
    expect((await push()).at(-1)).toEqual({ error: "http status 403 Forbidden: not now" });
    expect(stored().some((name) => name.includes("-upload-"))).toBe(true);
    refuse = false;
    expect((await push()).at(-1)).toEqual({ status: "success" });
    expect(ranges).toEqual([
      "0-15999999",
      "16000000-31999999",
      "32000000-39999999",
      "32000000-39999999",
    ]);
    expect(registry.blobs.has(digest)).toBe(true);
    expect(stored().some((name) => name.includes("-upload-"))).toBe(false);
  });

  test("follows relative upload addresses", async () => {
    registry.intercept = async (request, url) => {
      if (request.method !== "POST" || url.searchParams.has("again")) return undefined;
      const started = await fetch(`${url.href}?again`, { method: "POST" });
      const location = new URL(started.headers.get("location") ?? "");
      const relative = `${location.pathname}${location.search}`;
      return new Response(null, { status: 202, headers: { location: relative } });
    };
    expect((await push()).at(-1)).toEqual({ status: "success" });
  });

  test("sends parts on to a storage host without the token, and tags their hashes", async () => {
    registry.tokens = true;
    const port = registry.host.split(":")[1];
    const parts: Uint8Array[] = [];
    const tags: (string | null)[] = [];
    registry.intercept = async (request, url) => {
      if (url.pathname === "/storage") {
        expect(request.headers.get("authorization")).toBeNull();
        parts.push(await request.bytes());
        return new Response(null);
      }
      if (request.method === "PATCH") {
        const headers = {
          location: `http://localhost:${port}/storage`,
          "docker-upload-location": url.href,
        };
        return new Response(null, { status: 307, headers });
      }
      if (request.method === "PUT" && url.searchParams.has("etag")) {
        tags.push(url.searchParams.get("etag"));
        return new Response(null, { status: 201 });
      }
      return undefined;
    };
    expect((await push()).at(-1)).toEqual({ status: "success" });
    const md5 = (bytes: Uint8Array) => new Bun.CryptoHasher("md5").update(bytes).digest();
    expect(tags).toEqual(parts.map((part) => `${md5(md5(part)).toString("hex")}-1`));
  });

  test("says what is wrong with a model that is not there, or lacks a blob", async () => {
    const missing = `open ${application.store.root}/manifests/${registry.host}/u/x/latest: no such file or directory`;
    expect(await push(`${registry.host}/u/x`)).toEqual([
      { status: "retrieving manifest" },
      { status: "couldn't retrieve manifest" },
      { error: missing },
    ]);
    expect(
      await application.post("/api/push", {
        model: `${registry.host}/u/x`,
        insecure: true,
        stream: false,
      }),
    ).toEqual({ status: 500, body: { error: missing } });
    const file = join(application.store.root, "manifests", registry.host, "u/m/latest");
    const digest = sha256("gone");
    writeFileSync(file, JSON.stringify({ layers: [{ mediaType: "x", digest, size: 4 }] }));
    expect((await push()).at(-1)?.error).toEndWith(
      `${digest.replace(":", "-")}: no such file or directory`,
    );
    expect(registry.seen).toEqual([]);
  });
});

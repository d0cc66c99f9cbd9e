/**
 * Over 400 lines because every fault of a registry needs its own scene.
 * Pull, against a registry in this process that misbehaves on request (registry.md 2 to 4, 7, 10, 11).
 */
import { beforeEach, describe, expect, spyOn, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ArrivalHash } from "../../src/model/hash/arrival.ts";
import { HashNote } from "../../src/model/hash/note.ts";
import { PartialBlob } from "../../src/model/registry/partial.ts";
import { type Application, openApplication } from "../support/application.ts";
import { until } from "../support/executable.ts";
import { type FakeRegistry, ranged, sha256 } from "../support/fake-registry.ts";
import { ggufBytes } from "../support/gguf.ts";
import { type Scene, withRegistry } from "../support/with-registry.ts";

let application: Application;
let registry: FakeRegistry;
let scene: Scene;
withRegistry({ HUTCH_TRANSFER_STALL: "1s" }, (opened) => {
  scene = opened;
  ({ application, registry } = opened);
});

const text = (content: string) => new TextEncoder().encode(content);
const type = (kind: string) => `application/vnd.ollama.image.${kind}`;
const config = {
  mediaType: "application/vnd.docker.container.image.v1+json",
  content: text('{"model_format":"gguf","model_family":"llama"}'),
};
const small = { mediaType: type("model"), content: ggufBytes() };

/** Bytes that no two offsets of confuse. */
function noise(size: number): Uint8Array {
  const bytes = new Uint32Array(size / 4);
  let state = 1;
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state;
  }
  return new Uint8Array(bytes.buffer);
}

const pull = (name: string) => application.lines("/api/pull", { model: name, insecure: true });
const pullWhole = (name: string) =>
  application.post("/api/pull", { model: name, insecure: true, stream: false });
const blobFolder = () => join(application.store.root, "blobs");
const blobs = () => (existsSync(blobFolder()) ? readdirSync(blobFolder()).toSorted() : []);
const blobFile = (digest: string) =>
  join(application.store.root, "blobs", digest.replace(":", "-"));
const names = async () => {
  const answer = await application.send("GET", "/api/tags");
  return ((await answer.json()) as { models: { name: string }[] }).models.map(({ name }) => name);
};
const blobRequests = () => registry.seen.filter(({ path }) => path.includes("/blobs/"));

/** Collapses the repeated lines of one blob to their last. */
function collapsed(lines: unknown[]): unknown[] {
  return (lines as { digest?: string }[]).filter(
    ({ digest }, i, all) =>
      digest === undefined || (all[i + 1] as { digest?: string })?.digest !== digest,
  );
}

describe("what is pinned", () => {
  test("is pulled when the registry still has it, and refused before anything is downloaded when not", async () => {
    const name = registry.publish("u/m", [config, small]);
    const digest = sha256(registry.manifests.get("u/m:latest") ?? new Uint8Array()).slice(7);
    const wrong = "0".repeat(64);
    const body = { model: name, insecure: true };
    const refused = await application.send("POST", "/api/pull", { ...body, digest: wrong });
    expect({ status: refused.status, kind: refused.headers.get("x-hutch-error") }).toEqual({
      status: 409,
      kind: "lock",
    });
    expect(await refused.json()).toEqual({
      error: `pull "${name}": the registry has ${digest.slice(0, 12)}, locked is 000000000000`,
    });
    expect({ blobs: blobs(), asked: blobRequests() }).toEqual({ blobs: [], asked: [] });
    const lines = await application.lines("/api/pull", { ...body, digest });
    expect(lines.at(-1)).toEqual({ status: "success" });
  });
});

describe("pulling", () => {
  test("tells manifest, blobs in order, verification, success; keeps the manifest's bytes", async () => {
    const name = registry.publish("u/m", [config, small]);
    const line = ({ content }: { content: Uint8Array }) => ({
      status: `pulling ${sha256(content).slice(7, 19)}`,
      digest: sha256(content),
      total: content.length,
      completed: content.length,
    });
    expect(collapsed(await pull(name))).toEqual([
      { status: "pulling manifest" },
      line(small),
      line(config),
      { status: "verifying sha256 digest" },
      { status: "writing manifest" },
      { status: "success" },
    ]);
    const file = join(application.store.root, "manifests", registry.host, "u/m/latest");
    expect(readFileSync(file)).toEqual(Buffer.from(registry.manifests.get("u/m:latest") ?? []));
    expect(statSync(file).mode & 0o777).toBe(0o644);
    expect(await names()).toEqual([name]);
    expect(blobs()).toEqual(
      [small, config].map(({ content }) => sha256(content).replace(":", "-")).toSorted(),
    );
    expect(registry.seen[0]?.userAgent).toMatch(/^ollama\/0\.33\.0 \([a-z0-9]+ [a-z0-9]+\) /);
  });

  test("asks for nothing that is there already, and says success alone when it does not stream", async () => {
    const name = registry.publish("u/m", [config, small]);
    await pull(name);
    registry.seen.length = 0;
    expect(await pullWhole(name)).toEqual({ status: 200, body: { status: "success" } });
    expect(registry.seen.map(({ method, path }) => [method, path])).toEqual([
      ["GET", "/v2/u/m/manifests/latest"],
    ]);
  });

  test("replaces an older version and removes the layers that only that had", async () => {
    const name = registry.publish("u/m", [config, small]);
    await pull(name);
    const other = { mediaType: type("system"), content: text("Be brief.") };
    registry.publish("u/m", [config, other]);
    const statuses = (await pull(name)).map((line) => (line as { status: string }).status);
    expect(statuses.slice(-2)).toEqual(["removing unused layers", "success"]);
    expect(existsSync(blobFile(sha256(small.content)))).toBe(false);
  });

  test("lets two pulls of one model share the work", async () => {
    const big = { mediaType: type("model"), content: noise(2 ** 20) };
    const name = registry.publish("u/m", [config, big]);
    const both = await Promise.all([pull(name), pull(name)]);
    expect(both.map((lines) => lines.at(-1))).toEqual([
      { status: "success" },
      { status: "success" },
    ]);
    const wanted = blobRequests().filter(({ path }) => path.endsWith(sha256(big.content)));
    expect(wanted.length).toBe(1);
  });

  test.each([
    [404, "", "pull model manifest: file does not exist"],
    [412, "a newer version is required", "pull model manifest: 412: a newer version is required"],
    [500, "broken \u001b[31m", "pull model manifest: 500: broken [31m"],
  ])("says what a registry says with status %d", async (status, body, error) => {
    registry.intercept = () => new Response(body, { status });
    expect(await pull(`${registry.host}/u/m`)).toEqual([{ status: "pulling manifest" }, { error }]);
    expect(await pullWhole(`${registry.host}/u/m`)).toEqual({ status: 500, body: { error } });
  });

  test("gives up on a registry that says nothing", async () => {
    registry.intercept = () => new Promise(() => {});
    const url = `http://${registry.host}/v2/u/m/manifests/latest`;
    expect(await pullWhole(`${registry.host}/u/m`)).toEqual({
      status: 500,
      body: { error: `pull model manifest: GET "${url}": no answer within 1 s` },
    });
  });

  test("is what create does for a base that is not there, by https", async () => {
    const from = `${registry.host}/u/base`;
    const { status, body } = await application.post("/api/create", {
      model: "x",
      from,
      stream: false,
    });
    const url = `https://${registry.host}/v2/u/base/manifests/latest`;
    expect([status, (body as { error: string }).error]).toEqual([
      500,
      expect.stringContaining(`pull model manifest: Get "${url}": `),
    ]);
    expect(await names()).toEqual([]);
  });

  test("refuses http:// in a name without insecure", async () => {
    const model = `http://${registry.host}/u/m`;
    expect(await application.post("/api/pull", { model })).toEqual({
      status: 500,
      body: { error: "insecure protocol http" },
    });
    expect(registry.seen).toEqual([]);
  });
});

describe("manifests from strangers", () => {
  const layer = { mediaType: "x", digest: sha256("x"), size: 1 };
  test.each<[string, unknown, string]>([
    ["an empty object", {}, "the manifest has a wrong field: /layers: Expected required property"],
    ["a list", [], "the manifest has a wrong field: /: Expected object"],
    ["no JSON", "{", "the manifest is not valid JSON"],
    [
      "a path for a digest",
      { layers: [{ ...layer, digest: "sha256:../../../../etc/passwd" }] },
      'the manifest names a blob "sha256:../../../../etc/passwd": invalid digest format',
    ],
    ["an empty digest", { layers: [{ ...layer, digest: "" }] }, "u/m: digest is empty"],
    [
      "a negative size",
      { layers: [{ ...layer, size: -1 }] },
      "the manifest has a wrong field: /layers/0/size: Expected integer to be greater or equal to 0",
    ],
    [
      "two sizes of one blob",
      { layers: [layer, { ...layer, size: 2 }] },
      `the manifest gives ${layer.digest} two sizes: 1 and 2`,
    ],
  ])("with %s are refused, and nothing is written", async (_, manifest, reason) => {
    const body = typeof manifest === "string" ? manifest : JSON.stringify(manifest);
    registry.manifests.set("u/m:latest", text(body));
    const { status, body: answer } = await pullWhole(`${registry.host}/u/m`);
    expect(status).toBe(500);
    expect((answer as { error: string }).error).toBe(`pull model manifest: ${reason}`);
    expect([await names(), blobs()]).toEqual([[], []]);
  });

  test("of tensors for another engine are refused in the reference's words", async () => {
    const layers = [{ ...layer, mediaType: type("tensor") }];
    registry.manifests.set("u/m:latest", text(JSON.stringify({ layers })));
    expect((await pull(`${registry.host}/u/m`)).at(-1)).toEqual({
      error: "this model requires MLX support, but the MLX runtime is not available",
    });
  });

  test("larger than 4 MiB are refused, also when they are packed small", async () => {
    const large = new Uint8Array(5 * 2 ** 20).fill(32);
    registry.manifests.set("u/m:latest", large);
    expect((await pullWhole(`${registry.host}/u/m`)).body).toEqual({
      error: "pull model manifest: the manifest: larger than 4194304 bytes",
    });
    registry.intercept = () =>
      new Response(Bun.gzipSync(large), { headers: { "content-encoding": "gzip" } });
    expect((await pullWhole(`${registry.host}/u/m`)).body).toEqual({
      error: 'pull model manifest: the manifest: the answer is encoded as "gzip"',
    });
  });

  test("without layers are stored: stubs of cloud models look so", async () => {
    registry.publish("u/m", [config]);
    const bytes = JSON.parse(new TextDecoder().decode(registry.manifests.get("u/m:latest")));
    registry.manifests.set("u/m:latest", text(JSON.stringify({ ...bytes, layers: null })));
    expect((await pull(`${registry.host}/u/m`)).at(-1)).toEqual({ status: "success" });
  });
});

describe("tokens", () => {
  beforeEach(() => {
    registry.tokens = true;
  });

  test("are asked for with a signature by a key that is made on first use", async () => {
    const name = registry.publish("u/m", [config, small]);
    expect((await pull(name)).at(-1)).toEqual({ status: "success" });
    const asked = registry.seen.filter(({ path }) => path.startsWith("/token"));
    expect(asked.length).toBe(1);
    expect(asked[0]?.path).toMatch(
      /^\/token\?nonce=[\w-]{22}&scope=repository%3Au%2Fm%3Apull%2Cpush&scope=other&service=test&ts=\d+$/,
    );
    const key = join(application.home, ".ollama/id_ed25519");
    expect(statSync(key).mode & 0o777).toBe(0o600);
    expect(statSync(`${key}.pub`).mode & 0o777).toBe(0o644);
    expect(readFileSync(`${key}.pub`, "utf8")).toBe(
      `ssh-ed25519 ${asked[0]?.authorization?.split(":")[0]}\n`,
    );
  });

  test("are never asked from another host than the one that wants them", async () => {
    registry.intercept = () =>
      new Response(null, {
        status: 401,
        headers: { "www-authenticate": `Bearer realm="http://localhost:1/token",service="s"` },
      });
    expect((await pullWhole(`${registry.host}/u/m`)).body).toEqual({
      error: `pull model manifest: realm host "localhost:1" does not match original host "${registry.host}"`,
    });
    registry.intercept = () => new Response(null, { status: 401 });
    expect((await pullWhole(`${registry.host}/u/m`)).body).toEqual({
      error: `pull model manifest: realm host "" does not match original host "${registry.host}"`,
    });
  });

  test("that do not help end in a clear error", async () => {
    registry.intercept = (_, url) =>
      url.pathname === "/token" ? Response.json({ token: "worthless" }) : undefined;
    expect((await pullWhole(`${registry.host}/u/m`)).body).toEqual({
      error: "pull model manifest: unauthorized: access denied",
    });
    registry.intercept = (_, url) =>
      url.pathname === "/token" ? new Response("unknown key", { status: 403 }) : undefined;
    expect((await pullWhole(`${registry.host}/u/m`)).body).toEqual({
      error: "pull model manifest: 403: unknown key",
    });
  });

  test("never reach the host that a blob is redirected to", async () => {
    const name = registry.publish("u/m", [config, small]);
    const port = registry.host.split(":")[1];
    for (const status of [301, 302, 303, 307, 308]) {
      registry.seen.length = 0;
      registry.intercept = (request, url) => {
        if (url.pathname.startsWith("/storage/")) {
          const bytes = registry.blobs.get(url.pathname.slice("/storage/".length));
          return ranged(bytes ?? new Uint8Array(), request.headers.get("range"));
        }
        const digest = /\/blobs\/(sha256:.*)$/.exec(url.pathname)?.[1];
        if (digest === undefined || request.headers.get("authorization") === null) return undefined;
        return new Response(null, {
          status,
          headers: { location: `http://localhost:${port}/storage/${digest}` },
        });
      };
      expect((await pull(name)).at(-1)).toEqual({ status: "success" });
      const stored = registry.seen.filter(({ host }) => host.startsWith("localhost:"));
      expect(stored.map(({ authorization }) => authorization)).toEqual([null, null]);
      await application.send("DELETE", "/api/delete", { model: name });
    }
  });
});

describe("downloads", () => {
  const big = { mediaType: type("model"), content: noise(1_200_000) };
  const digest = sha256(big.content);
  let name: string;
  beforeEach(() => {
    name = registry.publish("u/m", [config, big]);
  });

  /** Lets only the answer to the n-th request for the big blob be another one. */
  function misbehave(answer: (range: string | null, count: number) => Response | undefined): void {
    let count = 0;
    registry.intercept = (request, url) =>
      url.pathname.endsWith(digest) && request.method === "GET"
        ? answer(request.headers.get("range"), ++count)
        : undefined;
  }

  /** A body that sends so many bytes and then ends, or falls silent. */
  function broken(bytes: Uint8Array, end: "cut" | "silent"): ReadableStream<Uint8Array> {
    let sent = false;
    return new ReadableStream({
      pull(controller) {
        if (!sent) controller.enqueue(bytes);
        else if (end === "cut") controller.close();
        sent = true;
        return sent && end === "silent" ? new Promise(() => {}) : undefined;
      },
    });
  }

  const part = (end: "cut" | "silent", size: number) =>
    new Response(broken(big.content.slice(0, size), end), {
      status: 206,
      headers: { "content-range": `bytes 0-${big.content.length - 1}/${big.content.length}` },
    });

  test.each(["cut", "silent"] as const)(
    "go on where a connection was %s, without asking again for what arrived",
    async (end) => {
      misbehave((_, count) => (count === 1 ? part(end, 500_000) : undefined));
      expect((await pull(name)).at(-1)).toEqual({ status: "success" });
      const ranges = blobRequests()
        .filter(({ path }) => path.endsWith(digest))
        .map(({ range }) => range);
      expect(ranges[0]).toBe("bytes=0-1199999");
      expect(ranges.slice(1)).toEqual(["bytes=500000-1199999"]);
    },
  );

  test.each([429, 503])("wait as long as a registry that answers %d asks for", async (status) => {
    misbehave((_, count) =>
      count <= 2 ? new Response("later", { status, headers: { "retry-after": "0" } }) : undefined,
    );
    expect((await pull(name)).at(-1)).toEqual({ status: "success" });
  });

  test("end after six failures with the last reason", async () => {
    misbehave(() => new Response("no", { status: 503 }));
    expect((await pull(name)).at(-1)).toEqual({ error: "max retries exceeded: 503: no" });
    expect(blobRequests().length).toBe(6);
    expect(await names()).toEqual([]);
  });

  test("with wrong bytes leave nothing behind", async () => {
    const wrong = big.content.slice();
    wrong[700_000] = (wrong[700_000] ?? 0) ^ 1;
    misbehave((range) => ranged(wrong, range));
    expect((await pull(name)).at(-1)).toEqual({
      error: `digest mismatch, file must be downloaded again: want ${digest}, got ${sha256(wrong)}`,
    });
    expect([await names(), blobs()]).toEqual([[], []]);
    registry.intercept = () => undefined;
    expect((await pull(name)).at(-1)).toEqual({ status: "success" });
  });

  test("take a server that ignores ranges as it is", async () => {
    misbehave((_, count) =>
      count === 1 ? part("cut", 400_000) : new Response(big.content, { status: 200 }),
    );
    expect((await pull(name)).at(-1)).toEqual({ status: "success" });
  });

  test("refuse another size than the manifest's, before anything is written", async () => {
    misbehave(() => new Response(big.content.slice(1)));
    const error = `${digest}: the registry has 1199999 bytes, the manifest says 1200000`;
    expect((await pull(name)).at(-1)).toEqual({ error });
  });

  test("refuse a part from another place", async () => {
    misbehave(
      () =>
        new Response(big.content.slice(5), {
          status: 206,
          headers: { "content-range": "bytes 5-1199999/1200000" },
        }),
    );
    expect((await pull(name)).at(-1)).toEqual({
      error: `max retries exceeded: ${digest}: asked for bytes from 0, got them from 5`,
    });
  });

  test("follow ten redirects and no more, and none to other schemes", async () => {
    misbehave((_, count) =>
      count <= 10
        ? new Response(null, { status: 307, headers: { location: `/v2/u/m/blobs/${digest}` } })
        : undefined,
    );
    expect((await pull(name)).at(-1)).toEqual({ status: "success" });
    await application.send("DELETE", "/api/delete", { model: name });
    misbehave(
      () => new Response(null, { status: 307, headers: { location: "file:///etc/passwd" } }),
    );
    expect((await pull(name)).at(-1)).toEqual({
      error: 'a redirect leads to "file:", which is not followed',
    });
    misbehave(() => new Response(null, { status: 307, headers: { location: "?" } }));
    expect((await pull(name)).at(-1)).toEqual({
      error: `maximum redirects exceeded (10) for ${digest}`,
    });
  });

  test("stop when their last client leaves, keep what arrived, and go on from there", async () => {
    // Silence must not be taken for a stall before the client has seen how far it came.
    await application[Symbol.asyncDispose]();
    application = openApplication({ env: { HUTCH_TRANSFER_STALL: "1m" } });
    scene.application = application;
    misbehave((_, count) => (count === 1 ? part("silent", 600_000) : undefined));
    const controller = new AbortController();
    const answer = await application.app.handle(
      new Request("http://localhost/api/pull", {
        method: "POST",
        body: JSON.stringify({ model: name, insecure: true }),
        signal: controller.signal,
      }),
    );
    const reader = answer.body?.getReader();
    let seen = "";
    while (!seen.includes('"completed":')) {
      const { done, value } = (await reader?.read()) ?? { done: true };
      if (done) throw new Error(`the pull ended before it was left: ${seen}`);
      seen += new TextDecoder().decode(value);
    }
    await reader?.cancel();
    controller.abort();
    await until("the lock is free", () => !existsSync(`${blobFile(digest)}.lock`));
    const note = JSON.parse(readFileSync(`${blobFile(digest)}-partial-0`, "utf8"));
    expect(note).toEqual({ N: 0, Offset: 0, Size: 1_200_000, Completed: expect.any(Number) });
    expect(note.Completed).toBeGreaterThanOrEqual(Number(/"completed":(\d+)/.exec(seen)?.[1]));
    registry.seen.length = 0;
    const lines = await pull(name);
    expect(lines[1]).toMatchObject({ completed: note.Completed, total: 1_200_000 });
    expect(lines.at(-1)).toEqual({ status: "success" });
    expect(blobRequests()[0]?.range).toBe(`bytes=${note.Completed}-1199999`);
  });

  /** Leaves all but the last 10000 bytes there, as a process does that is killed then. */
  async function leave(): Promise<number> {
    const there = big.content.length - 10_000;
    const partial = await PartialBlob.open(blobFile(digest), big.content.length);
    const hash = await ArrivalHash.begin(0, undefined, () => 0);
    partial.hashState = () => hash.save();
    await partial.write([big.content.subarray(0, there)], 0);
    hash.update([big.content.subarray(0, there)]);
    await partial.pause();
    return there;
  }

  test("that were hashed by another process go on without reading the file", async () => {
    await leave();
    const read = spyOn(PartialBlob.prototype, "read");
    expect((await pull(name)).at(-1)).toEqual({ status: "success" });
    expect(read).not.toHaveBeenCalled();
    expect(blobs().filter((file) => /partial|-hash/.test(file))).toEqual([]);
    read.mockRestore();
  });

  test("whose saved hash leads to another digest are read before they are called damaged", async () => {
    const there = await leave();
    const hash = await ArrivalHash.begin(0, undefined, () => 0);
    hash.update([new Uint8Array(there)]);
    new HashNote(`${blobFile(digest)}-hash`, big.content.length).write(there, hash.save());
    expect((await pull(name)).at(-1)).toEqual({ status: "success" });
  });

  test("go on from Ollama's part files", async () => {
    mkdirSync(blobFolder(), { recursive: true });
    const half = big.content.slice();
    half.fill(0, 300_000, 600_000);
    half.fill(0, 700_000);
    const path = blobFile(digest);
    writeFileSync(`${path}-partial`, half);
    const parts = [
      { N: 0, Offset: 0, Size: 600_000, Completed: 300_000 },
      { N: 1, Offset: 600_000, Size: 600_000, Completed: 100_000 },
    ];
    for (const each of parts)
      writeFileSync(`${path}-partial-${each.N}`, `${JSON.stringify(each)}\n`);
    registry.seen.length = 0;
    expect((await pull(name)).at(-1)).toEqual({ status: "success" });
    const asked = blobRequests().filter(({ path }) => path.endsWith(digest));
    expect(asked.map(({ range }) => range)).toEqual([
      "bytes=300000-599999",
      "bytes=700000-1199999",
    ]);
    expect(blobs().filter((file) => file.includes("partial"))).toEqual([]);
  });
});

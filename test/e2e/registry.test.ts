/**
 * Pull and push against a real registry, and through a proxy that misbehaves in every way it knows:
 * the result is the model with the right digests, or a clear error; never a hang, never a model in the
 * list that does not verify. In this process, because there are many cases; the executable's turn is in
 * `registry-kill.test.ts`.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Application, openApplication } from "../support/application.ts";
import { sha256 } from "../support/fake-registry.ts";
import { ggufBytes } from "../support/gguf.ts";
import {
  type FaultProxy,
  type FaultRule,
  haveFaultProxy,
  type RegistryServer,
  registryBinary,
  startFaultProxy,
  startRegistry,
} from "../support/registry-server.ts";

/** A GGUF of about 1.6 MB: more than one write, less than a second at any fault. */
const gguf = ggufBytes({
  metadata: { "llama.embedding_length": 400 },
  tensors: { "token_embd.weight": [400, 1000] },
});
const digest = sha256(gguf);

interface Line {
  readonly status?: string;
  readonly error?: string;
}

async function upload(application: Application): Promise<void> {
  const url = `http://localhost/api/blobs/${digest}`;
  await application.app.handle(new Request(url, { method: "POST", body: gguf }));
  const files = { "model.gguf": digest };
  const system = "You are a bird.";
  const made = await application.post("/api/create", { model: "m", files, system, stream: false });
  if (made.status !== 200) throw new Error(JSON.stringify(made.body));
}

/** Digests of manifests in a store, and whether every blob that they name is what it should be. */
function storeState(application: Application): { models: string[]; sound: boolean } {
  const { store } = application;
  const stored = store.manifests();
  const digests = stored.flatMap(({ manifest }) => [
    ...manifest.layers.map((layer) => layer.digest),
    ...(manifest.config === undefined ? [] : [manifest.config.digest]),
  ]);
  const sound = digests.every((each) => {
    const path = join(store.root, "blobs", each.replace(":", "-"));
    return existsSync(path) && sha256(readFileSync(path)) === each;
  });
  return { models: stored.map((each) => each.digest), sound };
}

describe.skipIf(registryBinary === undefined)("with a real registry", () => {
  let registry: RegistryServer;
  let source: Application;
  let target: Application;
  beforeAll(async () => {
    registry = await startRegistry();
    source = openApplication();
    await upload(source);
  });
  afterAll(async () => {
    await source?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    target = openApplication({ env: { HUTCH_TRANSFER_STALL: "800ms" } });
  });
  afterEach(() => target[Symbol.asyncDispose]());

  const push = async (name: string) => {
    await source.send("POST", "/api/copy", { source: "m", destination: name });
    return (await source.lines("/api/push", { model: name, insecure: true })) as Line[];
  };
  const pull = async (name: string) =>
    (await target.lines("/api/pull", { model: name, insecure: true })) as Line[];

  test("what is pushed comes back the same", async () => {
    const name = `${registry.host}/library/plain`;
    expect((await push(name)).at(-1)).toEqual({ status: "success" });
    expect((await pull(name)).at(-1)).toEqual({ status: "success" });
    const [wanted] = storeState(source).models;
    expect(storeState(target)).toEqual({ models: [wanted ?? ""], sound: true });
  });

  test("a model under another name takes its layers over", async () => {
    const parent = `${registry.host}/library/parent`;
    await push(parent);
    const child = `${registry.host}/library/child`;
    const fields = { model: child, from: parent, system: "You are a fish.", stream: false };
    await source.post("/api/create", fields);
    const lines = await source.lines("/api/push", { model: child, insecure: true });
    expect(lines.at(-1)).toEqual({ status: "success" });
    expect((await pull(child)).at(-1)).toEqual({ status: "success" });
    expect(storeState(target).sound).toBe(true);
  });

  describe.skipIf(!haveFaultProxy)("behind a proxy that misbehaves", () => {
    let proxy: FaultProxy;
    let name: string;
    beforeAll(async () => {
      proxy = await startFaultProxy(registry.host);
      name = `${proxy.host}/library/plain`;
      await proxy.set([]);
      await push(name);
    });
    afterAll(async () => {
      await proxy?.[Symbol.asyncDispose]();
    });

    const blob = { method: "GET", path: digest };
    const once = { first: 1 };
    const storage = { match: blob, fault: { redirect: 307 } };
    const onStorage = { listener: "blob" };

    /** Faults that a pull gets over. */
    const survived: readonly (readonly [string, readonly FaultRule[]])[] = [
      ["no fault", []],
      ["a delay", [{ match: blob, fault: { delayMs: 300 } }]],
      ["a slow line", [{ match: blob, fault: { throttle: 2_000_000 } }]],
      ["a cut", [{ match: { ...blob, ...once }, fault: { cutAfter: 700_000 } }]],
      ["two resets", [{ match: { ...blob, first: 2 }, fault: { resetAfter: 500_000 } }]],
      ["a cut at every half megabyte", [{ match: blob, fault: { cutAfter: 500_000 } }]],
      ["silence in the middle", [{ match: { ...blob, ...once }, fault: { stallAfter: 300_000 } }]],
      ["503 twice", [{ match: { ...blob, first: 2 }, fault: { status: 503, body: "busy" } }]],
      [
        "429 with Retry-After",
        [{ match: { ...blob, ...once }, fault: { status: 429, headers: { "Retry-After": "1" } } }],
      ],
      ["a manifest after 503", [{ match: { path: "manifests", ...once }, fault: { status: 503 } }]],
      ["an ignored Range", [{ match: blob, fault: { ignoreRange: true } }]],
      [
        "an ignored Range with cuts",
        [
          { match: blob, fault: { ignoreRange: true } },
          { match: { ...blob, ...once }, fault: { cutAfter: 900_000 } },
        ],
      ],
      ["no Content-Length", [{ match: blob, fault: { noLength: true } }]],
      ["too large a Content-Length", [{ match: { ...blob, ...once }, fault: { lengthDelta: 5 } }]],
      ["a Location in a 200", [{ match: blob, fault: { location: true, ignoreRange: true } }]],
      ["a storage host", [storage]],
      ["a storage host by 302", [{ match: blob, fault: { redirect: 302 } }]],
      ["a storage host by 303", [{ match: blob, fault: { redirect: 303 } }]],
      ["a storage host by 308", [{ match: blob, fault: { redirect: 308 } }]],
      [
        "a storage host behind redirects",
        [{ match: blob, fault: { redirect: 307, redirectHops: 3 } }],
      ],
      [
        "a storage address for one use, and cuts",
        [
          { match: blob, fault: { redirect: 307, redirectUses: 1 } },
          { match: { ...onStorage, first: 2 }, fault: { cutAfter: 400_000 } },
        ],
      ],
      [
        "a storage host that resets",
        [storage, { match: { ...onStorage, ...once }, fault: { resetAfter: 100_000 } }],
      ],
      [
        "a storage host that is silent from the start",
        [storage, { match: { ...onStorage, ...once }, fault: { stallAfter: 0 } }],
      ],
    ];

    for (const [fault, rules] of survived) {
      test(`${fault}: the model comes whole`, async () => {
        await proxy.set(rules);
        expect((await pull(name)).at(-1)).toEqual({ status: "success" });
        expect(storeState(target)).toMatchObject({ models: [expect.any(String)], sound: true });
      });
    }

    test("a slow tail: the model comes whole", async () => {
      await proxy.set([{ match: { ...blob, ...once }, fault: { slowTail: 2000 } }]);
      expect((await pull(name)).at(-1)).toEqual({ status: "success" });
      expect(storeState(target).sound).toBe(true);
    }, 30_000);

    /** Faults that end a pull, with what is said. */
    const refused: readonly (readonly [string, readonly FaultRule[], RegExp])[] = [
      [
        "a wrong bit",
        [{ match: blob, fault: { corruptAt: 1_000_000 } }],
        /^digest mismatch, file must be downloaded again: want sha256:.*, got sha256:/,
      ],
      [
        "bytes from another place",
        [
          { match: { ...blob, skip: 1 }, fault: { wrongRange: true } },
          { match: { ...blob, ...once }, fault: { cutAfter: 800_000 } },
        ],
        /^digest mismatch/,
      ],
      [
        "503 for ever",
        [{ match: blob, fault: { status: 503, body: "busy" } }],
        /^max retries exceeded: 503: busy$/,
      ],
      [
        "silence for ever",
        [{ match: blob, fault: { stallAfter: 10 } }],
        /^max retries exceeded: .*no data for 0.8 s$/,
      ],
      ["a missing blob", [{ match: blob, fault: { status: 404 } }], /^file does not exist$/],
      [
        "a false size",
        [
          {
            match: { path: "manifests" },
            fault: { rewrite: [`"size":${gguf.length}`, `"size":${gguf.length + 7}`] },
          },
        ],
        /bytes, the manifest says/,
      ],
      [
        "a path as a digest",
        [{ match: { path: "manifests" }, fault: { rewrite: [digest, "sha256:../../x"] } }],
        /invalid digest format/,
      ],
      [
        "redirects without end",
        [{ match: blob, fault: { redirect: 307, redirectHops: 30 } }],
        /maximum redirects exceeded/,
      ],
      [
        "a redirect to a file",
        [{ match: blob, fault: { redirectTo: "file:///etc/passwd" } }],
        /which is not followed$/,
      ],
      [
        "an unknown model",
        [{ match: { path: "manifests" }, fault: { status: 404 } }],
        /^pull model manifest: file does not exist$/,
      ],
      [
        "a silent registry",
        [{ match: { path: "manifests" }, fault: { delayMs: 60_000 } }],
        /^pull model manifest: .*no answer within 0.8 s$/,
      ],
    ];

    for (const [fault, rules, message] of refused) {
      test(`${fault}: a clear error, and nothing to be seen`, async () => {
        await proxy.set(rules);
        expect((await pull(name)).at(-1)?.error ?? "no error").toMatch(message);
        expect(storeState(target).models).toEqual([]);
        await proxy.set([]);
        expect((await pull(name)).at(-1)).toEqual({ status: "success" });
        expect(storeState(target).sound).toBe(true);
      }, 30_000);
    }

    test("tokens are renewed as they die, and never reach the storage host", async () => {
      await proxy.set([storage], { uses: 1 });
      expect((await pull(name)).at(-1)).toEqual({ status: "success" });
      const log = await proxy.log();
      const signed = log.filter(({ url }) => url.startsWith("/token"));
      expect(signed.map(({ signature }) => signature)).toEqual(signed.map(() => "ok"));
      expect(signed.length).toBeGreaterThan(1);
      const stored = log.filter(({ listener }) => listener === "blob");
      expect(stored.length).toBe(1);
      expect(stored.filter(({ headers }) => "authorization" in headers)).toEqual([]);
    });

    test.each([
      [{ refuse: true }, /^pull model manifest: 403: .*token refused/],
      [{ never: true }, /^pull model manifest: unauthorized: access denied$/],
      [
        { realm: "http://localhost:1/token" },
        /realm host "localhost:1" does not match original host/,
      ],
    ])("a registry with %p says clearly that it does not let us in", async (auth, message) => {
      await proxy.set([], auth);
      expect((await pull(name)).at(-1)?.error ?? "no error").toMatch(message);
    });

    /** Faults of uploads that a push gets over. */
    const pushed: readonly (readonly [string, readonly FaultRule[], object?])[] = [
      ["relative addresses", [{ match: {}, fault: { relativeLocation: true } }]],
      ["a storage host", [{ match: { method: "PATCH" }, fault: { uploadRedirect: true } }]],
      ["503 on a part", [{ match: { method: "PATCH", first: 2 }, fault: { status: 503 } }]],
      [
        "503 on the commit",
        [{ match: { method: "PUT", path: "uploads", ...once }, fault: { status: 503 } }],
      ],
      ["a forgotten upload", [{ match: { method: "PATCH", ...once }, fault: { status: 404 } }]],
      ["tokens for three uses", [], { uses: 3 }],
    ];
    for (const [fault, rules, auth] of pushed) {
      test(`${fault}: the push arrives whole`, async () => {
        await proxy.set(rules, auth as Record<string, unknown> | undefined);
        const own = `${proxy.host}/library/${fault.replace(/\W/g, "-")}`;
        expect((await push(own)).at(-1)).toEqual({ status: "success" });
        await proxy.set([]);
        expect((await pull(own)).at(-1)).toEqual({ status: "success" });
        expect(storeState(target).sound).toBe(true);
        const left = readdirSync(join(source.store.root, "blobs"));
        expect(left.filter((file) => /upload|partial|lock/.test(file))).toEqual([]);
      });
    }

    test.each([
      [{ refuse: true }, /^403: .*token refused/],
      [{ never: true }, /^unauthorized: access denied$/],
    ])("a push without permission (%p) says so", async (auth, message) => {
      await proxy.set([], auth);
      const last = (await push(`${proxy.host}/library/private`)).at(-1);
      expect(last?.error ?? "no error").toMatch(message);
    });
  });
});

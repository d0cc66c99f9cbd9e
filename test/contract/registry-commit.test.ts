/** Which commit of a hub's repository a model came from: learnt by a pull, written by a lock. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { readConfig } from "../../src/config/env.ts";
import { silentLogger } from "../../src/logger.ts";
import { parseName } from "../../src/model/name.ts";
import { lockKey, lockModel } from "../../src/model/pinned.ts";
import { currentCommit } from "../../src/model/registry/hub.ts";
import { RegistrySession } from "../../src/model/registry/session.ts";
import { createTransfers } from "../../src/model/registry/transfers.ts";
import { type Application, openApplication } from "../support/application.ts";
import { type FakeRegistry, startFakeRegistry } from "../support/fake-registry.ts";
import { ggufBytes } from "../support/gguf.ts";

let application: Application;
let registry: FakeRegistry;
let name: string;
beforeEach(() => {
  application = openApplication();
  registry = startFakeRegistry();
  name = registry.publish("u/m", [
    { mediaType: "application/vnd.ollama.image.model", content: ggufBytes() },
    {
      mediaType: "application/vnd.docker.container.image.v1+json",
      content: new TextEncoder().encode('{"model_format":"gguf"}'),
    },
  ]);
});
afterEach(async () => {
  await application[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

const commits = ["a".repeat(40), "b".repeat(40)] as const;

/** Tells a commit with every manifest. */
function telling(commit: string): void {
  registry.intercept = (request, url) => {
    const bytes = registry.manifests.get("u/m:latest");
    if (!url.pathname.includes("/manifests/") || request.method !== "GET") return undefined;
    return new Response(bytes, { headers: { "x-repo-commit": commit } });
  };
}

async function pull(): Promise<void> {
  const lines = await application.lines("/api/pull", { model: name, insecure: true });
  expect(lines.at(-1)).toEqual({ status: "success" });
}

describe("a commit that comes with the manifest", () => {
  test("stands in the lock, and does not change its key", async () => {
    telling(commits[0]);
    await pull();
    const first = lockModel(application.store, name);
    expect(first.commit).toBe(commits[0]);
    telling(commits[1]);
    await pull();
    const second = lockModel(application.store, name);
    expect(second).toEqual({ ...first, commit: commits[1] });
    expect(lockKey({ version: 1, models: [second] })).toBe(
      lockKey({ version: 1, models: [first] }),
    );
  });

  test("is none when it is no commit, or the registry is no hub", async () => {
    telling("../../etc/passwd");
    await pull();
    expect(lockModel(application.store, name)).not.toHaveProperty("commit");
    expect(registry.seen.some(({ path }) => path.startsWith("/api/"))).toBe(false);
  });

  test("is forgotten after its model", async () => {
    telling(commits[0]);
    await pull();
    const folder = join(application.store.root, "hutch/origins");
    expect(readdirSync(folder)).toHaveLength(1);
    await application.send("DELETE", "/api/delete", { model: name });
    const other = { mediaType: "application/vnd.ollama.image.system", content: new Uint8Array(3) };
    registry.publish("u/m", [other]);
    await pull();
    expect(readdirSync(folder)).toEqual([lockModel(application.store, name).digest]);
  });
});

test.each([
  [Response.json({ sha: "d".repeat(40) }), "d".repeat(40)],
  [Response.json({ sha: "main" }), undefined],
  [new Response("<html>"), undefined],
  [new Response("", { status: 404 }), undefined],
])("a hub is asked for its commit, and need not answer (%#)", async (answer, commit) => {
  registry.intercept = (_, url) =>
    url.pathname === "/api/models/u/m/revision/main" ? answer : undefined;
  const { http, key } = createTransfers(
    application.store,
    readConfig({ HOME: application.home }),
    silentLogger,
  );
  const session = new RegistrySession({ name: parseName(name), insecure: true, http, key });
  expect(await currentCommit(session, new AbortController().signal)).toBe(commit);
});

/**
 * The recorded HTTP answers and command lines of the reference, replayed on the executable. Topics
 * that belong to later versions are not in the lists; what is in them passes whole.
 */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { executable, haveExecutable, startServer } from "../support/executable.ts";

const golden = resolve(import.meta.dir, "../../../shared/golden");
const present = existsSync(join(golden, "replay.ts")) && haveExecutable;

const topics = [
  "blobs",
  "chat",
  "context",
  "copy-delete",
  "cors-host",
  "embed",
  "embeddings",
  "errors-json",
  "errors-method-path",
  "errors-model",
  "generate",
  "images",
  "logprobs",
  "options",
  "ps-keepalive",
  "pull-push-errors",
  "raw-template-suffix",
  "root-version",
  "show",
  "stop-sequences",
  "stream-framing",
  "structured-output",
  "tags",
  "thinking",
  "tools",
  "truncate-shift",
];

const commandTopics = [
  "args",
  "chat",
  "cp-rm",
  "create",
  "embed",
  "env",
  "help",
  "list",
  "list-empty",
  "noserver",
  "ps-stop",
  "registry",
  "run",
  "serve",
  "show",
  "think",
  "version",
  "wire",
];

async function replay(script: string, argv: string[]): Promise<{ code: number; output: string }> {
  const child = Bun.spawn([process.execPath, join(golden, script), ...argv], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, output: `${out}${err}`.slice(-3000) };
}

describe.skipIf(!present)("recorded behaviour", () => {
  for (const topic of topics) {
    test(`HTTP: ${topic}`, async () => {
      await using server = await startServer();
      const { code, output } = await replay("replay.ts", [
        "--base-url",
        server.url,
        "--only",
        topic,
      ]);
      expect(code, output).toBe(0);
    });
  }

  test("HTTP: create, but for a step that another one contradicts", async () => {
    await using server = await startServer();
    const argv = ["--base-url", server.url, "--only", "create"];
    const { output } = await replay("replay.ts", argv);
    // The old form, which is to be served, makes the model that this step wants to be missing.
    expect([...output.matchAll(/FAIL (.*)/g)].map(([, step]) => step)).toEqual([
      "nothing is left after an error #1 POST /api/show",
    ]);
  });

  for (const topic of commandTopics) {
    test(`command line: ${topic}`, async () => {
      const { code, output } = await replay("cli/replay.ts", [
        "--bin",
        executable,
        "--only",
        topic,
      ]);
      expect(code, output).toBe(0);
    });
  }
});

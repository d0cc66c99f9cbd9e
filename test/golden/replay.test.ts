/**
 * The recorded HTTP answers and command lines of the reference, replayed on the executable. Topics
 * that belong to later versions are not in the lists; what is in them passes whole.
 */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { executable, haveExecutable, startServer, temporaryFolder } from "../support/executable.ts";

const golden = resolve(import.meta.dir, "../../../shared/golden");
const present = existsSync(join(golden, "replay.ts")) && haveExecutable;

const topics = [
  "blobs",
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

/** What the replayer writes of its steps. */
interface Report {
  readonly results: readonly { case: string; step: number; request: string; ok: boolean }[];
}

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

  const otherDialect = { steps: / \/v1\//, why: "the paths under /v1 are of a later version" };
  /** Steps that need not pass, by what stands in their names, each with its reason. */
  const excused: Record<string, { steps: RegExp; why: string }> = {
    create: {
      steps: /^nothing is left after an error #1 POST \/api\/show$/,
      why: "the old form, which is to be served, makes the model that it wants to be missing",
    },
    chat: {
      steps: /^request system replaces the stored one #1 POST \/api\/chat$/,
      why: "two tokens are as likely as each other: the processor's rounding decides",
    },
    "equal-chunks": otherDialect,
    utf8: otherDialect,
  };
  for (const [topic, { steps, why }] of Object.entries(excused)) {
    test(`HTTP: ${topic}, but for some steps: ${why}`, async () => {
      await using server = await startServer();
      await using folder = await temporaryFolder();
      const report = join(folder.path, "report.json");
      await replay("replay.ts", ["--base-url", server.url, "--only", topic, "--json", report]);
      const { results } = (await Bun.file(report).json()) as Report;
      const failed = results
        .filter(({ ok }) => !ok)
        .map((step) => `${step.case} #${step.step} ${step.request}`);
      expect(results.length).toBeGreaterThan(failed.length);
      expect(failed.filter((name) => !steps.test(name))).toEqual([]);
    });
  }

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

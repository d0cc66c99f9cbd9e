/**
 * The real `ollama` program against hutch's server, and hutch's command line against its server. It is no
 * part of a checkout: HUTCH_TEST_OLLAMA names one (`go install github.com/ollama/ollama@v0.33.0` makes one,
 * without its engines, so what runs a model is tried in the one direction only).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  cleanEnvironment,
  executable,
  haveExecutable,
  startServer,
  type TestServer,
  temporaryFolder,
  testModel,
  until,
} from "../support/executable.ts";

const ollama = process.env.HUTCH_TEST_OLLAMA ?? Bun.which("ollama") ?? undefined;
const stories = testModel("stories260K-f32.gguf");

type Folder = Awaited<ReturnType<typeof temporaryFolder>>;

/** A command line of a program; what it printed, without the pictures of its progress. */
async function call(program: string, folder: Folder, host: string, argv: readonly string[]) {
  const child = Bun.spawn([program, ...argv], {
    cwd: folder.path,
    env: cleanEnvironment(folder.path, { OLLAMA_HOST: host, HUTCH_HOST: host }),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out: Bun.stripANSI(stdout), said: Bun.stripANSI(stderr) };
}

describe.skipIf(!haveExecutable || ollama === undefined || stories === undefined)(
  "the real ollama program",
  () => {
    let folder: Folder;
    beforeAll(async () => {
      folder = await temporaryFolder();
      await Bun.write(join(folder.path, "Base"), `FROM ${stories}\n`);
      await Bun.write(join(folder.path, "Modelfile"), "FROM base\nSYSTEM be kind\n");
    });
    afterAll(() => folder?.[Symbol.asyncDispose]());

    /** Commands that work on models, where the server has one named base. */
    async function tour(program: string, host: string): Promise<void> {
      const hutch = (...argv: string[]) => call(program, folder, host, argv);
      expect((await hutch("create", "one")).code).toBe(0);
      expect(await hutch("show", "--system", "one")).toMatchObject({ code: 0, out: "be kind" });
      expect((await hutch("show", "one")).out).toMatch(/architecture +llama/);
      expect((await hutch("show", "--modelfile", "one")).out).toContain("SYSTEM be kind");
      expect(await hutch("cp", "one", "two")).toMatchObject({
        code: 0,
        out: "copied 'one' to 'two'\n",
      });
      const { out } = await hutch("list");
      expect(out).toMatch(/^NAME +ID +SIZE +MODIFIED *\n/);
      expect(out.match(/^\S+:latest /gm)?.toSorted()).toEqual([
        "base:latest ",
        "one:latest ",
        "two:latest ",
      ]);
      expect((await hutch("ps")).out).toMatch(/^NAME +ID +SIZE +PROCESSOR +CONTEXT +UNTIL/);
      expect(await hutch("stop", "one")).toMatchObject({ code: 0 });
      expect(await hutch("rm", "one", "two")).toMatchObject({
        code: 0,
        out: "deleted 'one'\ndeleted 'two'\n",
      });
      expect(await hutch("show", "one")).toMatchObject({
        code: 1,
        said: expect.stringContaining("Error: model 'one:latest' not found"),
      });
    }

    describe("as a client of hutch", () => {
      let server: TestServer;
      beforeAll(async () => {
        server = await startServer();
      });
      afterAll(() => server?.[Symbol.asyncDispose]());
      const run = (...argv: string[]) => call(ollama ?? "", folder, server.url, argv);

      test("answers, thinks, times, and keeps to a format", async () => {
        expect(await run("pull", "guide")).toMatchObject({ code: 0 });
        const plain = await run("run", "guide", "--think=false", "What is hutch?");
        expect(plain).toMatchObject({ code: 0, out: expect.stringContaining("language models") });
        const timed = await run("run", "guide", "--verbose", "Hello");
        expect(timed.out).toContain("Thinking...");
        expect(timed.said).toMatch(/eval rate: +[\d.]+ tokens\/s/);
        const json = await run("run", "guide", "--think=false", "--format", "json", "List models");
        expect(json.code).toBe(0);
        expect((await run("ps")).out).toMatch(/^guide:latest .*100% CPU/m);
        expect((await run("--version")).out).toMatch(/version is \d+\.\d+/);
      });

      test("makes, shows, copies, lists and removes models", async () => {
        expect((await run("rm", "guide")).code).toBe(0);
        expect((await run("create", "base", "-f", "Base")).code).toBe(0);
        await tour(ollama ?? "", server.url);
      });
    });

    test("as a server of hutch's command line, on a store that hutch has filled", async () => {
      const flags = ["-f", "Base", "--no-server"];
      expect((await call(executable, folder, "", ["create", "base", ...flags])).code).toBe(0);
      const host = `127.0.0.1:${await freePort()}`;
      const serving = Bun.spawn([ollama ?? "", "serve"], {
        env: cleanEnvironment(folder.path, { OLLAMA_HOST: host }),
        stdio: ["ignore", "ignore", "ignore"],
      });
      try {
        await until("Ollama listens", () =>
          fetch(`http://${host}/`).then(
            ({ ok }) => ok,
            () => false,
          ),
        );
        await tour(executable, host);
      } finally {
        serving.kill();
        await serving.exited;
      }
    });
  },
);

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

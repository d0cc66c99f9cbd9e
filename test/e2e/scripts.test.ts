/**
 * What scripts rely on: one test for each rule that cli.md marks [script]. The recorded command lines
 * (test/golden) say the same in more detail, where they are at hand.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { join } from "node:path";
import {
  cleanEnvironment,
  executable,
  haveExecutable,
  startServer,
  type TestServer,
  temporaryFolder,
} from "../support/executable.ts";
import { startFakeRegistry } from "../support/fake-registry.ts";

describe.skipIf(!haveExecutable)("scripts rely on", () => {
  let server: TestServer;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeAll(async () => {
    server = await startServer();
    folder = await temporaryFolder();
    const made = await server.post("/api/create", { model: "mine", from: "guide", stream: false });
    expect(made.status).toBe(200);
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  async function hutch(argv: readonly string[], options: { stdin?: string; host?: string } = {}) {
    const child = Bun.spawn([executable, ...argv], {
      cwd: folder.path,
      env: cleanEnvironment(folder.path, { HUTCH_HOST: options.host ?? server.url }),
      stdin: options.stdin === undefined ? "ignore" : new Blob([options.stdin]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { stdout, stderr, code };
  }

  /** A port that nobody listens on. */
  async function closedPort(): Promise<string> {
    const probe = createServer().listen(0, "127.0.0.1");
    await new Promise((done) => probe.once("listening", done));
    const address = probe.address();
    await new Promise((done) => probe.close(done));
    return `127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  }

  test("exit code 0 or 1, one line `Error: …` on stderr, never usage", async () => {
    const failures = [
      ["frobnicate"],
      ["list", "--nosuch"],
      ["show"],
      ["cp", "a"],
      ["show", "nosuch"],
      ["rm", "nosuch"],
      ["cp", "nosuch", "b"],
      ["stop", "nosuch"],
    ];
    const results = await Promise.all(failures.map((argv) => hutch(argv)));
    expect(results.map(({ code, stdout, stderr }) => [code, stdout, stderr])).toEqual([
      [1, "", 'Error: unknown command "frobnicate" for "hutch"\n'],
      [1, "", "Error: unknown flag: --nosuch\n"],
      [1, "", "Error: accepts 1 arg(s), received 0\n"],
      [1, "", "Error: accepts 2 arg(s), received 1\n"],
      [1, "", "Error: model 'nosuch:latest' not found\n"],
      [1, "", "Error: model 'nosuch' not found\n"],
      [1, "", 'Error: model "nosuch" not found\n'],
      [1, "", 'Error: couldn\'t find model "nosuch" to stop\n'],
    ]);
  });

  test("the version line", async () => {
    const { stdout, code } = await hutch(["-v"]);
    expect({ version: /^hutch version is \S+\n$/.test(stdout), code }).toEqual({
      version: true,
      code: 0,
    });
    const none = await hutch(["--version"], { host: await closedPort() });
    expect({ first: none.stdout.split("\n")[0], code: none.code }).toEqual({
      first: "Warning: could not connect to a running hutch instance",
      code: 0,
    });
  });

  test("a server that is not there: one line, exit code 1", async () => {
    expect(await hutch(["list"], { host: await closedPort() })).toEqual({
      stdout: "",
      stderr: "Error: could not connect to hutch server, run 'hutch serve' to start it\n",
      code: 1,
    });
  });

  test("what cp and rm print; rm stops at the first failure", async () => {
    expect(await hutch(["cp", "mine", "one"])).toEqual({
      stdout: "copied 'mine' to 'one'\n",
      stderr: "",
      code: 0,
    });
    await hutch(["cp", "mine", "two"]);
    expect(await hutch(["rm", "one", "nosuch", "two"])).toEqual({
      stdout: "deleted 'one'\n",
      stderr: "Error: model 'nosuch' not found\n",
      code: 1,
    });
    expect((await hutch(["rm", "two"])).stdout).toBe("deleted 'two'\n");
  });

  test("the prompt: standard input first and unchanged, then the words", async () => {
    const system = "/set system is no command here";
    const asked: string[] = [];
    const spy = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        const { pathname } = new URL(request.url);
        if (pathname === "/api/show") return Response.json({ capabilities: ["completion"] });
        if (pathname !== "/api/generate") return new Response("Ollama is running");
        asked.push(((await request.json()) as { prompt: string }).prompt);
        return new Response('{"response":"ok"}\n{"response":"","done":true}\n');
      },
    });
    const host = `127.0.0.1:${spy.port}`;
    const answers = [
      await hutch(["run", "m", "a", "b c"], { host }),
      await hutch(["run", "m", "say"], { host, stdin: "hi\n" }),
      await hutch(["run", "m"], { host, stdin: system }),
      await hutch(["run", "m", "--", "--a"], { host }),
    ];
    await spy.stop(true);
    expect(asked).toEqual(["a b c", "hi\n say", system, "--a"]);
    expect(answers).toEqual(answers.map(() => ({ stdout: "ok\n\n", stderr: "", code: 0 })));
  });

  test("an empty prompt loads the model and prints nothing", async () => {
    expect(await hutch(["run", "mine"], { stdin: "" })).toEqual({
      stdout: "",
      stderr: "",
      code: 0,
    });
    expect((await hutch(["ps"])).stdout).toContain("mine:latest");
  });

  test("results on stdout alone, without a control sequence; two line ends behind an answer", async () => {
    const { stdout, stderr, code } = await hutch([
      "run",
      "mine",
      "--think=false",
      "What is hutch?",
    ]);
    expect({
      stderr,
      code,
      plain: Bun.stripANSI(stdout) === stdout,
      end: stdout.endsWith("\n\n"),
    }).toEqual({
      stderr: "",
      code: 0,
      plain: true,
      end: true,
    });
    const timed = await hutch(["run", "mine", "--verbose", "--think=false", "Hello"]);
    expect(timed.stdout).not.toContain("duration");
    expect(timed.stderr).toMatch(/^eval rate: +[\d.]+ tokens\/s$/m);
  });

  test("columns of list and ps at the places that awk and cut find them", async () => {
    const rows = async (command: string) => (await hutch([command])).stdout.split("\n");
    const [head = "", first = "", ...rest] = await rows("list");
    expect(head).toMatch(/^NAME +ID {14}SIZE {6}MODIFIED +$/);
    expect(rest.at(-1)).toBe("");
    for (const title of ["ID", "SIZE", "MODIFIED"]) {
      const at = head.indexOf(title);
      expect(first.slice(at - 4, at)).toBe("    ");
      expect(first[at]).not.toBe(" ");
    }
    expect(first).toEndWith("    ");
    expect((await rows("ps"))[0]).toMatch(/^NAME +ID +SIZE +PROCESSOR +CONTEXT +UNTIL +$/);
  });

  test("show: sections, and single fields raw", async () => {
    const { stdout } = await hutch(["show", "mine"]);
    expect(stdout).toMatch(/^ {2}Model\n {4}architecture +llama +\n/);
    expect((await hutch(["show", "mine", "--modelfile"])).stdout).toMatch(
      /^# Modelfile generated by "ollama show"\n[\s\S]*\n$/,
    );
  });

  test("all of a long result, also through a pipe that takes it slowly", async () => {
    const license = "x".repeat(1_000_000);
    await server.post("/api/create", { model: "long", from: "mine", license, stream: false });
    const child = Bun.spawn(["sh", "-c", `'${executable}' show long --license | wc -c`], {
      env: cleanEnvironment(folder.path, { HUTCH_HOST: server.url }),
      stdout: "pipe",
    });
    const bytes = Number(await new Response(child.stdout).text());
    expect(bytes).toBeGreaterThan(license.length);
  });

  test("create and pull say success on stderr, nothing on stdout", async () => {
    await Bun.write(join(folder.path, "Modelfile"), "FROM mine\nSYSTEM be kind\n");
    const made = await hutch(["create", "kind"]);
    expect({ ...made, stderr: /^success$/m.test(made.stderr) }).toEqual({
      stdout: "",
      stderr: true,
      code: 0,
    });
    expect((await hutch(["show", "--system", "kind"])).stdout).toBe("be kind");
    await using registry = startFakeRegistry();
    const content = new TextEncoder().encode("{}");
    const name = registry.publish("u/m", [
      { mediaType: "application/vnd.docker.container.image.v1+json", content },
      { mediaType: "application/vnd.ollama.image.system", content },
    ]);
    const pulled = await hutch(["pull", "--insecure", name]);
    expect({ ...pulled, stderr: /^success$/m.test(pulled.stderr) }).toEqual({
      stdout: "",
      stderr: true,
      code: 0,
    });
    const missing = await hutch(["pull", "--insecure", `${registry.host}/u/nosuch`]);
    expect({ ...missing, stderr: missing.stderr.split("\n").at(-2) }).toEqual({
      stdout: "",
      stderr: "Error: pull model manifest: file does not exist",
      code: 1,
    });
  });

  test("serve says that its port is taken", async () => {
    const host = server.url.replace("http://", "");
    expect(await hutch(["serve"], { host })).toEqual({
      stdout: "",
      stderr: expect.stringContaining(`Error: listen tcp ${host}: bind: address already in use\n`),
      code: 1,
    });
  });
});

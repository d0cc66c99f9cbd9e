/** Every exit code of docs/cli.md, by the compiled executable, without a server and with one. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
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

const schema = '{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}';
const long = "word ".repeat(3000);
const nobody = "127.0.0.1:1";

/** What a command line ends with: its code, and what it says on stderr (one line, or nothing). */
type Case = readonly [code: number, argv: readonly string[], said: string | RegExp];

/** Failures that are the same with a server and without. */
const cases: readonly Case[] = [
  [0, ["run", "guide", "--seed", "1", "Hello"], ""],
  [1, ["run", "guide", "--nosuch"], "Error: unknown flag: --nosuch\n"],
  [
    2,
    ["run", "guide", "--seed", "x", "Hi"],
    /^Error: invalid argument "x" for "--seed" flag: .*\n$/,
  ],
  [
    2,
    ["run", "guide", "--timeout", "5", "Hi"],
    'Error: --timeout: time: missing unit in duration "5"\n',
  ],
  [2, ["run", "guide", "--timeout=-1s", "Hi"], 'Error: --timeout: "-1s" is no time to wait\n'],
  [
    2,
    ["run", "guide", "--option", "top_k=x", "Hi"],
    "Error: --option top_k: invalid int value [x]\n",
  ],
  [
    2,
    ["run", "guide", "--image", "nosuch.png", "Hi"],
    /^Error: --image: cannot send "nosuch.png": ENOENT.*\n$/,
  ],
  [2, ["run", "guide", "--output", "xml", "Hi"], /^Error: invalid value for --output: "xml" .*\n$/],
  [
    2,
    ["run", "guide", "--format", "nosuch.json", "Hi"],
    /^Error: --format: cannot read "nosuch.json": ENOENT.*\n$/,
  ],
  [
    2,
    ["run", "guide", "--messages", "nosuch", "Hi"],
    /^Error: --messages: cannot read "nosuch": ENOENT.*\n$/,
  ],
  [
    2,
    ["run", "guide", "--message", "me:hi", "Hi"],
    /^Error: --message: "me:hi" does not begin with .*\n$/,
  ],
  [
    2,
    ["run", "guide", "--tools", "nosuch", "Hi"],
    /^Error: --tools: cannot read "nosuch": ENOENT.*\n$/,
  ],
  [2, ["run", "bad name!", "--offline", "Hi"], "Error: invalid model name\n"],
  [
    3,
    ["run", "nosuch", "--offline", "Hi"],
    'Error: model "nosuch" is not here, and --offline forbids pulling it\n',
  ],
  [3, ["embed", "nosuch", "Hi"], /^Error: model "nosuch" not found.*\n$/],
  [
    5,
    ["run", "guide", "--format", "json", "--max-tokens", "2", "Hi"],
    /^Error: the answer is not in the format asked for: .*\n$/,
  ],
  [6, ["run", "guide", "--truncate=false", long], /^Error: 400 Bad Request: .*context.*\n$/],
  [
    8,
    ["run", "guide", "--seed", "1", "--format", '{"type":"nosuch"}', "Hi"],
    /^Error: 400 Bad Request: format: cannot be kept: .*\n$/,
  ],
  [124, ["run", "guide", "--timeout", "1ms", "Hi"], "Error: no whole answer within 0.001 s\n"],
];

describe.skipIf(!haveExecutable)("exit codes", () => {
  let home: Awaited<ReturnType<typeof temporaryFolder>>;
  let server: TestServer;
  beforeAll(async () => {
    home = await temporaryFolder();
    server = await startServer();
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await home?.[Symbol.asyncDispose]();
  });

  function start(argv: readonly string[], env: Record<string, string> = {}) {
    return Bun.spawn([executable, ...argv], {
      cwd: home.path,
      env: cleanEnvironment(home.path, env),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  async function hutch(argv: readonly string[], env: Record<string, string> = {}) {
    const child = start(argv, env);
    const [, said] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code: await child.exited, said };
  }

  describe.each(["without a server", "with a server"])("%s", (where) => {
    const to = () => (where === "with a server" ? ["--server", server.url] : ["--no-server"]);
    test.each(cases.map(([code, argv, said]) => ({ code, said, argv, shown: shownOf(argv) })))(
      "$code: $shown",
      async ({ code, said, argv }) => {
        // A mistake of Ollama's own is only one without a flag of hutch's.
        const flags = code === 1 ? [] : to();
        expect(await hutch([...argv, ...flags])).toEqual({
          code,
          said: typeof said === "string" ? said : expect.stringMatching(said),
        });
      },
    );
  });

  test("3: a model that its registry has not, where a script may pull it", async () => {
    await using registry = startFakeRegistry();
    const name = `${registry.host}/u/nosuch`;
    for (const argv of [
      ["run", name, "--insecure", "--no-server", "Hi"],
      ["pull", name, "--insecure", "--no-server"],
    ]) {
      const { code, said } = await hutch(argv);
      expect([code, said.split("\n").at(-2)]).toEqual([
        3,
        "Error: pull model manifest: file does not exist",
      ]);
    }
  });

  test("4: a model that does not fit into memory", async () => {
    const { code, said } = await hutch(["run", "guide", "--no-server", "Hi"], {
      HUTCH_MEMORY: "1M",
    });
    expect({ code, said }).toEqual({
      code: 4,
      said: expect.stringMatching(/^Error: .*memory.*\n$/),
    });
  });

  test("7: nobody at the address", async () => {
    const said = "Error: could not connect to hutch server, run 'hutch serve' to start it\n";
    for (const argv of [
      ["run", "guide", "Hi", "--server", nobody],
      ["embed", "guide", "Hi", "--server", nobody],
      ["list", "--server", nobody],
    ]) {
      expect(await hutch(argv)).toEqual({ code: 7, said });
    }
    expect((await hutch(["embed", "guide", "Hi"], { HUTCH_HOST: nobody })).code).toBe(7);
  });

  test("8: a schema that cannot be kept", async () => {
    await Bun.write(join(home.path, "never.json"), '{"$ref":"#"}');
    expect((await hutch(["schema", "check", "never.json"])).code).toBe(8);
    await Bun.write(join(home.path, "good.json"), schema);
    expect((await hutch(["schema", "check", "good.json"])).code).toBe(0);
  });

  test("9: a model that is not what its lock pins", async () => {
    expect((await hutch(["lock", "guide"])).code).toBe(0);
    expect((await hutch(["verify", "--lock", "--quiet"])).code).toBe(0);
    const file = Bun.file(join(home.path, "models.lock"));
    const text = await file.text();
    await file.write(text.replace(/"digest": "[0-9a-f]{64}"/, `"digest": "${"0".repeat(64)}"`));
    expect((await hutch(["lock", "--check"])).code).toBe(9);
    expect((await hutch(["verify", "--lock", "--quiet"])).code).toBe(9);
    expect((await hutch(["pull", "--frozen", "--no-server"])).code).toBe(9);
  });

  test("124: a server that accepts and never answers", async () => {
    const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const address = `127.0.0.1:${silent.port}`;
    const { code, said } = await hutch([
      "run",
      "guide",
      "--timeout",
      "300ms",
      "--server",
      address,
      "Hi",
    ]);
    silent.stop(true);
    expect({ code, said }).toEqual({ code: 124, said: "Error: no whole answer within 0.3 s\n" });
  });

  test("130: interrupted while it answers; what was said stays", async () => {
    const prompt = ["--max-tokens", "100000", "--format", '{"type":"array","minItems":90}'];
    const child = start(["run", "guide", "--think=false", ...prompt, "--no-server", "Count"]);
    const reader = child.stdout.getReader();
    const first = await reader.read();
    child.kill("SIGINT");
    expect([await child.exited, first.done]).toEqual([130, false]);
    expect(await new Response(child.stderr).text()).toBe("");
  });
});

/** A command line as a test's name. */
function shownOf(argv: readonly string[]): string {
  return argv.join(" ").slice(0, 60);
}

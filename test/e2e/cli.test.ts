/** The command line of the compiled executable, as a person and a script use it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  childrenOf,
  cleanEnvironment,
  executable,
  haveExecutable,
  temporaryFolder,
  testModel,
  until,
} from "../support/executable.ts";

const stories = testModel("stories260K-f32.gguf");

/** Nobody listens here: commands work without a server. */
const nowhere = { OLLAMA_HOST: "" };

async function hutch(
  home: string,
  argv: string[],
  stdin?: string,
  env: Record<string, string> = {},
) {
  const child = Bun.spawn([executable, ...argv], {
    cwd: home,
    env: cleanEnvironment(home, { ...nowhere, ...env }),
    stdin: stdin === undefined ? "ignore" : new Blob([stdin]),
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

describe.skipIf(!haveExecutable)("without a server", () => {
  let home: Awaited<ReturnType<typeof temporaryFolder>>;

  beforeAll(async () => {
    home = await temporaryFolder();
  });
  afterAll(async () => {
    await home?.[Symbol.asyncDispose]();
  });

  test("the embedded model answers a question, on stdout alone", async () => {
    const { stdout, stderr, code } = await hutch(home.path, [
      "run",
      "guide",
      "--think=false",
      "How do I list models?",
    ]);
    expect({ stdout, stderr, code }).toEqual({
      stdout: expect.stringContaining("hutch list"),
      stderr: "",
      code: 0,
    });
    expect(stdout).toEndWith("\n\n");
  });

  test("a prompt comes from standard input", async () => {
    const { stdout, code } = await hutch(
      home.path,
      ["run", "guide", "--think=false"],
      "What is hutch?",
    );
    expect(code).toBe(0);
    expect(stdout).toContain("runs large language models");
  });

  test("thinking is shown, and hidden when asked to", async () => {
    const shown = await hutch(home.path, ["run", "guide", "What is hutch?"]);
    expect(shown.stdout).toStartWith("Thinking...\n");
    expect(shown.stdout).toContain("\n...done thinking.\n\n");
    const hidden = await hutch(home.path, ["run", "--hidethinking", "guide", "What is hutch?"]);
    expect(hidden.stdout).not.toContain("hinking");
  });

  test.skipIf(stories === undefined)(
    "a GGUF becomes a model that is listed, shown, copied, run and removed",
    async () => {
      await Bun.write(
        join(home.path, "Modelfile"),
        `FROM ${stories}\nPARAMETER temperature 0\nPARAMETER num_predict 8\n`,
      );
      expect((await hutch(home.path, ["create", "mine"])).code).toBe(0);
      expect((await hutch(home.path, ["list"])).stdout).toContain("mine:latest");
      expect((await hutch(home.path, ["show", "mine"])).stdout).toContain(
        "architecture        llama",
      );
      expect((await hutch(home.path, ["cp", "mine", "other"])).stdout).toBe(
        "copied 'mine' to 'other'\n",
      );
      const answer = await hutch(home.path, ["run", "other", "Once upon a time"]);
      expect({ code: answer.code, some: answer.stdout.trim().length > 5 }).toEqual({
        code: 0,
        some: true,
      });
      expect((await hutch(home.path, ["rm", "mine", "other"])).stdout).toBe(
        "deleted 'mine'\ndeleted 'other'\n",
      );
    },
  );

  test("what does not exist is one line on stderr and exit code 1", async () => {
    expect(await hutch(home.path, ["show", "nosuch"])).toEqual({
      stdout: "",
      stderr: "Error: model 'nosuch:latest' not found\n",
      code: 1,
    });
    expect((await hutch(home.path, ["frobnicate"])).stderr).toStartWith(
      'Error: unknown command "frobnicate"',
    );
  });

  test("the embedded model is verified, carried in an archive, and repaired from the executable", async () => {
    await using other = await temporaryFolder();
    const archive = join(home.path, "guide.tar");
    expect(await hutch(home.path, ["verify", "guide", "--quiet"])).toEqual({
      stdout: expect.stringMatching(/^1 model, \d+ blobs, [\d.]+ MB: all sound\n$/),
      stderr: "",
      code: 0,
    });
    expect(await hutch(home.path, ["export", "guide", archive, "--quiet"])).toEqual({
      stdout: `exported 'guide:latest' to '${archive}'\n`,
      stderr: "",
      code: 0,
    });
    expect(await hutch(other.path, ["import", archive, "--name=carried", "--quiet"])).toEqual({
      stdout: "imported 'carried:latest'\n",
      stderr: "",
      code: 0,
    });
    const question = ["--think=false", "What is hutch?"];
    const [here, there] = await Promise.all([
      hutch(home.path, ["run", "guide", ...question]),
      hutch(other.path, ["run", "carried", ...question]),
    ]);
    expect(there).toEqual(here);
    const blobs = join(home.path, ".ollama/models/blobs");
    const [largest = ""] = (await readdir(blobs))
      .filter((name) => name.startsWith("sha256-"))
      .toSorted((a, b) => Bun.file(join(blobs, b)).size - Bun.file(join(blobs, a)).size);
    await Bun.write(join(blobs, largest), "damaged");
    expect((await hutch(home.path, ["verify", "--quiet"])).code).toBe(1);
    const repaired = await hutch(home.path, ["verify", "--repair", "--quiet"]);
    expect({ last: repaired.stdout.split("\n").at(-2), code: repaired.code }).toEqual({
      last: "repaired guide:latest",
      code: 0,
    });
    expect((await hutch(home.path, ["verify", "--quiet"])).code).toBe(0);
  });

  test("nothing is left behind", async () => {
    await using temp = await temporaryFolder();
    await hutch(home.path, ["run", "guide", "hello"], undefined, { TMPDIR: temp.path });
    expect(await readdir(temp.path)).toEqual([]);
    const blobs = await readdir(join(home.path, ".ollama/models/blobs"));
    expect(blobs.filter((name) => !/^sha256-[0-9a-f]{64}$/.test(name))).toEqual([]);
  });

  test("libraries go to a temporary folder when the home cannot be written to", async () => {
    await using other = await temporaryFolder();
    await using temp = await temporaryFolder();
    const blocked = join(other.path, "blocked");
    await Bun.write(blocked, "a file where a folder would have to be");
    const models = join(other.path, "models");
    await mkdir(models);
    const env = { XDG_CACHE_HOME: blocked, TMPDIR: temp.path, HUTCH_MODELS: models };
    const { stdout, code } = await hutch(
      other.path,
      ["run", "guide", "--think=false", "What is hutch?"],
      undefined,
      env,
    );
    expect({ code, answered: stdout.includes("runs large language models") }).toEqual({
      code: 0,
      answered: true,
    });
    expect(await readdir(temp.path)).toHaveLength(1);
    await chmod(temp.path, 0o700);
  });
});

describe.skipIf(!haveExecutable)("in a terminal", () => {
  test("a chat answers, remembers, and leaves with /bye without a child behind", async () => {
    await using home = await temporaryFolder();
    let screen = "";
    const child = Bun.spawn([executable, "run", "guide", "--think=false"], {
      cwd: home.path,
      env: { ...cleanEnvironment(home.path, nowhere), TERM: "xterm" },
      terminal: {
        cols: 100,
        rows: 30,
        data: (_terminal, data) => {
          screen += new TextDecoder().decode(data);
        },
      },
    });
    const shows = async (what: string) => {
      await until(`the screen shows ${what}; it shows:\n${screen}`, () => screen.includes(what));
      screen = screen.slice(screen.lastIndexOf(what) + what.length);
    };
    await shows(">>> ");
    child.terminal?.write("hello\r");
    await shows("hutch");
    await shows(">>> ");
    child.terminal?.write("/clear\r");
    await shows("Cleared session context");
    await shows(">>> ");
    const children = await childrenOf(child.pid);
    expect(children).toHaveLength(1);
    child.terminal?.write("/bye\r");
    expect(await child.exited).toBe(0);
    expect(
      await Promise.all(children.map((pid) => Bun.file(`/proc/${pid}/stat`).exists())),
    ).toEqual([false]);
  }, 30_000);
});

/** `hutch ps --watch` at a terminal and in a pipe: what it shows, how it draws, how it ends. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Terminal } from "@xterm/headless";
import {
  childrenOf,
  cleanEnvironment,
  createModel,
  executable,
  haveExecutable,
  runnerOf,
  startServer,
  type TestServer,
  testModel,
  until,
} from "../support/executable.ts";
import { openTerminal, type TerminalSession } from "../support/terminal.ts";

const stories = testModel("stories260K-f32.gguf");
const talk = testModel("tinytalk-3m-q4_0.gguf");
const ready = haveExecutable && stories !== undefined && talk !== undefined;

const endless = {
  model: "stories",
  prompt: "Once upon a time",
  options: { temperature: 0, num_ctx: 512, num_predict: 5000, stop: ["<never>"] },
};

/** How often somebody asked for what is loaded. */
function looks(server: TestServer): number {
  return server.log().split("/api/ps").length - 1;
}

/** What a terminal of this size shows after what was printed. */
async function screenOf(session: TerminalSession, columns: number, rows = 24): Promise<string[]> {
  const screen = new Terminal({ cols: columns, rows, allowProposedApi: true });
  await new Promise<void>((resolve) => screen.write(session.raw(), resolve));
  const lines = Array.from({ length: rows }, (_, i) =>
    (screen.buffer.active.getLine(i)?.translateToString(true) ?? "").trimEnd(),
  );
  screen.dispose();
  return lines.filter((line) => line !== "");
}

describe.skipIf(!ready)("ps --watch", () => {
  let server: TestServer;
  const address = () => ({ HUTCH_HOST: server.url.replace("http://", "") });
  const command = [executable, "ps", "--watch", "--interval", "100ms"];
  const open = (columns: number) =>
    openTerminal(command, { home: server.home, env: address(), columns });
  const unload = async (model: string) => {
    await server.post("/api/generate", { model, keep_alive: 0 });
    await until("its runner is gone", async () => (await childrenOf(server.pid)).length === 0);
  };

  beforeAll(async () => {
    server = await startServer({
      env: { HUTCH_MAX_LOADED_MODELS: "1", HUTCH_NUM_PARALLEL: "2" },
    });
    await createModel(server, "stories", stories ?? "");
    await createModel(server, "talk", talk ?? "");
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  test("follows models, slots, queues and states in place, and ends with Ctrl-C", async () => {
    await using session = open(120);
    const shows = (what: string, pattern: RegExp) =>
      until(what, async () => pattern.test((await screenOf(session, 120)).join("\n")));
    await shows("an empty table", /^NAME +SIZE +PROCESSOR +CONTEXT +STATE +SLOTS +QUEUE +UNTIL$/);
    const leaving = new AbortController();
    const streams = Array.from({ length: 5 }, () =>
      server.post("/api/generate", endless, { signal: leaving.signal }).catch(() => undefined),
    );
    await shows("two served, three wait", /^stories:latest .* running +2\/2 +3 +\d/m);
    const other = server.post("/api/generate", { model: "talk", prompt: "x", stream: false });
    await shows(
      "one goes, one is to come",
      /^stories:latest .* stopping .*\ntalk:latest .* queued +- +1 +-$/m,
    );
    leaving.abort();
    await Promise.all(streams);
    expect((await other).status).toBe(200);
    await shows(
      "the other one alone",
      /UNTIL\ntalk:latest .* running +0\/2 +0 +\d minutes from now$/,
    );
    await unload("talk");
    await shows("nothing", /UNTIL$/);
    const before = session.raw();
    const looked = looks(server);
    await until("it looks again", () => looks(server) > looked + 1);
    expect(session.raw()).toBe(before);
    session.write("\x03");
    expect(await session.exited).toBe(0);
    // Nothing is cleared beyond the lines that change, and whole pictures appear at once.
    expect(session.raw()).not.toContain("\x1b[2J");
    const pictures = session.raw().split("\x1b[?2026h").length;
    expect(session.raw().split("\x1b[?2026l")).toHaveLength(pictures);
    expect(await screenOf(session, 120)).toEqual([expect.stringMatching(/^NAME .*UNTIL$/), "^C"]);
  });

  test("keeps to a narrow terminal, and to its new size", async () => {
    await server.post("/api/generate", { model: "stories", keep_alive: "1h" });
    await using session = open(40);
    await session.shows("stories:latest");
    expect(await screenOf(session, 40)).toEqual([
      "NAME              SLOTS    QUEUE",
      "stories:latest    0/2      0",
    ]);
    session.resize(20, 24);
    await session.shows(/stories:latest\s*(?!.*0\/2)/);
    session.resize(120, 24);
    await session.shows("UNTIL");
    process.kill(session.pid, "SIGTERM");
    expect(await session.exited).toBe(0);
    await unload("stories");
  });

  test("tells of a model that loads", async () => {
    await using session = open(100);
    await session.shows("UNTIL");
    const answer = server.post("/api/generate", { model: "talk", prompt: "x", stream: false });
    const runner = await runnerOf(server);
    process.kill(runner, "SIGSTOP");
    try {
      await session.shows(/talk:latest .*loading +- +1/);
    } finally {
      process.kill(runner, "SIGCONT");
    }
    expect((await answer).status).toBe(200);
    await session.shows(/talk:latest .*running +0\/2/);
    await unload("talk");
  });

  test("writes plain blocks where there is no terminal, one whenever something changes", async () => {
    const child = Bun.spawn(command, {
      env: cleanEnvironment(server.home, address()),
      stdout: "pipe",
      stderr: "pipe",
    });
    let text = "";
    const reading = (async () => {
      for await (const chunk of child.stdout) text += new TextDecoder().decode(chunk);
    })();
    await until("the first block", () => text.includes("UNTIL"));
    await server.post("/api/generate", { model: "stories", keep_alive: "-1s" });
    await until("a block with the model", () => /stories:latest.*Forever\n/.test(text));
    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
    await reading;
    const blocks = text
      .split("\n\n")
      .map((block) => block.replace(/ +/g, " ").replace(/\d+(?:\.\d+)? MB/, "N MB"))
      .map((block) => block.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z\n/, "TIME "));
    const head = "TIME NAME SIZE PROCESSOR CONTEXT STATE SLOTS QUEUE UNTIL";
    expect(blocks[0]).toBe(head);
    expect(blocks.at(-1)).toBe(`${head}\nstories:latest N MB 100% CPU 512 running 0/2 0 Forever\n`);
    // In between it may have been seen while it loaded, never twice the same.
    expect(new Set(blocks).size).toBe(blocks.length);
    await unload("stories");
  });

  test("says that no server answers, that an interval is none", () => {
    const run = (...flags: string[]) => {
      const child = Bun.spawnSync([executable, "ps", "--watch", ...flags], {
        env: cleanEnvironment(server.home, { HUTCH_HOST: "127.0.0.1:1" }),
      });
      return [child.exitCode, child.stdout.toString(), child.stderr.toString()];
    };
    expect(run()).toEqual([7, "", expect.stringMatching(/^Error: .*\n$/)]);
    expect(run("--interval", "1ms")).toEqual([
      2,
      "",
      'Error: flag --interval: "1ms": expected a duration from 100ms to 1h\n',
    ]);
  });
});

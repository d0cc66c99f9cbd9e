/** `hutch batch` by the compiled executable: killed, interrupted, without its server; and gone on with. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readOutput } from "../../src/cli/batch-lines.ts";
import {
  cleanEnvironment,
  executable,
  haveExecutable,
  startServer,
  type TestServer,
  temporaryFolder,
  until,
} from "../support/executable.ts";

/** Native lines and OpenAI's, with an id and without, and such as cannot be answered. */
const lines = Array.from({ length: 40 }, (_, index) => {
  const content = `Say something about ${index}`;
  const messages = [{ role: "user", content }];
  const options = { num_predict: 8 };
  switch (index % 5) {
    case 0:
      return JSON.stringify({
        custom_id: `open-${index}`,
        method: "POST",
        url: "/api/chat",
        body: { messages, options },
      });
    case 1:
      return JSON.stringify({ messages, options });
    case 2:
      return JSON.stringify({ custom_id: `own-${index}`, prompt: content, options });
    case 3:
      return JSON.stringify({ input: content });
    default:
      return index === 4 ? "{no json" : JSON.stringify({ model: "m", nothing: index });
  }
});
const ids = lines.map(
  (line, index) => /"custom_id":"([^"]+)"/.exec(line)?.[1] ?? `line-${index + 1}`,
);
const bad = lines.filter((_, index) => index % 5 === 4).length;

describe.skipIf(!haveExecutable)("a batch", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let server: TestServer;
  const flags = ["--fake", "--fake-rate", "100"];
  beforeAll(async () => {
    folder = await temporaryFolder();
    await Bun.write(join(folder.path, "in.jsonl"), `${lines.join("\n")}\n`);
    server = await startServer({ flags });
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  const text = (name: string) => {
    const file = join(folder.path, name);
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  };
  const start = (name: string, url = server.url) =>
    Bun.spawn([executable, "batch", "in.jsonl", name, "--model", "m", "--server", url], {
      cwd: folder.path,
      env: cleanEnvironment(folder.path),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  /** Runs it to its end; the last line on stderr. */
  async function finish(name: string): Promise<[code: number, last: string]> {
    const child = start(name);
    const said = await new Response(child.stderr).text();
    return [await child.exited, said.trimEnd().split("\n").at(-1) ?? ""];
  }
  const answered = (name: string) => readOutput(text(name))?.ids.length ?? 0;

  test("answers every line in order, and says which could not be", async () => {
    expect(await finish("whole.jsonl")).toEqual([1, `40 done, ${bad} failed`]);
    expect(readOutput(text("whole.jsonl"))).toMatchObject({ ids, failed: bad });
    const [first, , , vector, broken] = text("whole.jsonl")
      .split("\n")
      .map((line) => JSON.parse(line || "null"));
    expect(first).toMatchObject({
      custom_id: "open-0",
      response: { status_code: 200 },
      error: null,
    });
    expect(vector.response.body.embeddings).toHaveLength(1);
    expect(broken).toEqual({
      custom_id: "line-5",
      response: null,
      error: { code: "invalid_line", message: "line 5 is no JSON" },
    });
  });

  test.each(["SIGKILL", "SIGINT"] as const)("after %s it goes on where it was", async (signal) => {
    const name = `${signal}.jsonl`;
    const child = start(name);
    await until("some lines are answered", () => answered(name) >= 6);
    child.kill(signal);
    const code = await child.exited;
    expect(code).toBe(signal === "SIGINT" ? 130 : 137);
    const before = answered(name);
    expect(before).toBeLessThan(40);
    const kept = text(name).split("\n").slice(0, before).join("\n");
    expect(await finish(name)).toEqual([
      1,
      `${40 - before} done, ${bad} failed, ${before} were there already`,
    ]);
    expect(text(name)).toStartWith(kept);
    expect(readOutput(text(name))).toMatchObject({ ids, failed: bad });
  });

  test("without its server it ends, and keeps the unanswered lines for the next call", async () => {
    const other = await startServer({ flags });
    const child = start("gone.jsonl", other.url);
    await until("some lines are answered", () => answered("gone.jsonl") >= 6);
    await other.stop("SIGKILL");
    expect(await child.exited).toBe(7);
    expect(answered("gone.jsonl")).toBeLessThan(40);
    expect((await finish("gone.jsonl"))[0]).toBe(1);
    expect(readOutput(text("gone.jsonl"))).toMatchObject({ ids, failed: bad });
    await other[Symbol.asyncDispose]();
  });
});

/** What `run` sends and prints, by its flags; exit codes (cli.md 4). */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { exitCodeOf, exitCodes } from "../../../src/cli/exit-codes.ts";
import {
  ConnectionError,
  ContextOverflowError,
  FormatError,
  ModelLoadError,
  ServerError,
  TimeoutError,
  UsageError,
} from "../../../src/errors.ts";
import { type Answer, runOn, testContext } from "../../support/command-line.ts";
import { temporaryFolder } from "../../support/executable.ts";

const show: Answer = { json: { capabilities: ["completion", "tools"], model_info: {} } };

function generate(...pieces: string[]): Answer {
  return { lines: [...pieces.map((response) => ({ response })), { response: "", done: true }] };
}

async function run(argv: readonly string[], answers: Record<string, Answer> = {}) {
  const context = testContext({
    answers: {
      "POST /api/show": show,
      "POST /api/generate": generate("yes"),
      "POST /api/chat": { lines: [{ message: { content: "yes" } }, { message: {}, done: true }] },
      ...answers,
    },
  });
  const code = await runOn(context, "run", argv);
  const { request, body } = context.sent.at(-1) ?? {};
  return { code, ...context.printed, request, body };
}

describe("flags for scripts", () => {
  test("options, seed, length and system go with the prompt", async () => {
    expect(
      await run([
        ...["m", "Hi", "--seed", "7", "--max-tokens", "5", "--system", "be kind"],
        ...["--option", "top_k=3", "--option", "stop=a", "--option", "stop=b"],
      ]),
    ).toEqual({
      code: 0,
      out: "yes\n\n",
      note: "",
      request: "POST /api/generate",
      body: {
        model: "m",
        options: { top_k: 3, stop: ["a", "b"], seed: 7, num_predict: 5 },
        prompt: "Hi",
        suffix: "",
        system: "be kind",
        template: "",
      },
    });
  });

  test("earlier messages make it a conversation", async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, "m.json");
    await Bun.write(file, JSON.stringify([{ role: "user", content: "one" }]));
    const { request, body } = await run([
      ...["m", "three", "--messages", file, "--message", "assistant:two: 2", "--system", "s"],
    ]);
    expect({ request, body }).toEqual({
      request: "POST /api/chat",
      body: {
        model: "m",
        options: {},
        messages: [
          { role: "system", content: "s" },
          { role: "user", content: "one" },
          { role: "assistant", content: "two: 2" },
          { role: "user", content: "three" },
        ],
      },
    });
  });

  test("tools are sent, and calls printed as a JSON line each", async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, "t.json");
    const tools = [{ type: "function", function: { name: "get", parameters: {} } }];
    await Bun.write(file, JSON.stringify(tools));
    const call = { function: { name: "get", arguments: { city: "Oslo" } } };
    const { out, body } = await run(["m", "Hi", "--tools", file], {
      "POST /api/chat": {
        lines: [{ message: { tool_calls: [call] } }, { message: {}, done: true }],
      },
    });
    expect(out).toBe(`${JSON.stringify(call)}\n\n`);
    expect(body).toMatchObject({ tools });
  });

  test("--format takes a file", async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, "s.json");
    await Bun.write(file, '{"type":"object"}');
    const { body } = await run(["m", "Hi", "--format", file], {
      "POST /api/generate": generate("{}"),
    });
    expect(body).toMatchObject({ format: { type: "object" } });
  });

  test("--output json is one object, ndjson what comes", async () => {
    const json = { response: "yes", done: true };
    expect(
      await run(["m", "Hi", "--output", "json"], { "POST /api/generate": { json } }),
    ).toMatchObject({
      out: `${JSON.stringify(json)}\n`,
      body: { stream: false },
    });
    expect((await run(["m", "Hi", "--output", "ndjson"])).out).toBe(
      '{"response":"yes"}\n{"response":"","done":true}\n',
    );
  });

  test("--truncate=false refuses what is too long", async () => {
    expect((await run(["m", "Hi", "--truncate=false"])).body).toMatchObject({
      truncate: false,
      shift: false,
    });
  });

  const wrong: readonly (readonly [string[], string])[] = [
    [["--output", "xml"], 'invalid value for --output: "xml" (must be text, json, or ndjson)'],
    [["--option", "top_k"], '--option: "top_k" is no NAME=VALUE'],
    [["--option", "top_k=x"], "--option top_k: invalid int value [x]"],
    [["--option", "nosuch=1"], "--option nosuch: unknown parameter 'nosuch'"],
    [["--message", "hello"], '--message: "hello" does not begin with'],
    [["--messages", "/nosuch"], '--messages: cannot read "/nosuch"'],
    [["--timeout", "5"], 'time: missing unit in duration "5"'],
  ];
  for (const [flags, message] of wrong) {
    test(`${flags.join(" ")} is refused before anything is sent`, async () => {
      const context = testContext({ answers: {} });
      await expect(runOn(context, "run", ["m", "Hi", ...flags])).rejects.toThrow(message);
      expect(context.sent).toEqual([]);
    });
  }
});

describe("what goes wrong", () => {
  test("an answer that is no whole JSON, where a format was asked for", async () => {
    const cut = { "POST /api/generate": generate('{"a":') };
    await expect(run(["m", "Hi", "--format", "json", "--seed", "1"], cut)).rejects.toBeInstanceOf(
      FormatError,
    );
    // A command line of Ollama's ends as it does there.
    expect((await run(["m", "Hi", "--format", "json"], cut)).code).toBe(0);
  });

  test("a missing model is not pulled with --offline", async () => {
    const context = testContext({ answers: {} });
    await expect(runOn(context, "run", ["m", "Hi", "--offline"])).rejects.toThrow(
      'model "m" is not here, and --offline forbids pulling it',
    );
  });

  test("a stream that says nothing in time", async () => {
    const context = testContext({ answers: { "POST /api/show": show } });
    const client = await context.client({ daemonless: true });
    const silent = Object.assign(Object.create(client), {
      call: client.call.bind(client),
      stream: async function* (_path: string, _body: unknown, signal: AbortSignal) {
        await new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason)),
        );
      },
    });
    const late = runOn({ ...context, client: async () => silent }, "run", [
      "m",
      "Hi",
      "--timeout",
      "20ms",
    ]);
    await expect(late).rejects.toThrow(new TimeoutError("no whole answer within 0.02 s"));
  });

  test("exit codes tell kinds apart where hutch's own words are used, else they are Ollama's", () => {
    const errors = [
      new UsageError(""),
      new ServerError("", 404),
      new ServerError("", 404, "model_not_found"),
      new ServerError("", 404, "blob_not_found"),
      new ModelLoadError(""),
      new ServerError("", 500, "out_of_memory"),
      new FormatError(""),
      new ContextOverflowError("", 9, 8),
      new ConnectionError(""),
      new TimeoutError(""),
      new ServerError("", 500),
      new Error("a bug"),
    ];
    expect(errors.map((error) => exitCodeOf(error, true))).toEqual([
      exitCodes.usage,
      exitCodes.modelMissing,
      exitCodes.modelMissing,
      exitCodes.error,
      exitCodes.loadFailed,
      exitCodes.loadFailed,
      exitCodes.formatNotMet,
      exitCodes.contextExceeded,
      exitCodes.unreachable,
      exitCodes.timedOut,
      exitCodes.error,
      exitCodes.error,
    ]);
    expect(errors.map((error) => exitCodeOf(error, false))).toEqual(
      errors.map(() => exitCodes.error),
    );
  });
});

describe("embed", () => {
  test("prints a line for each text, in order", async () => {
    const context = testContext({
      answers: { "POST /api/embed": { json: { embeddings: [[0.1], [0.2]] } } },
    });
    expect(await runOn(context, "embed", ["m", "a", "b", "--dimensions", "1"])).toBe(0);
    expect({ ...context.printed, sent: context.sent }).toEqual({
      out: '{"index":0,"embedding":[0.1]}\n{"index":1,"embedding":[0.2]}\n',
      note: "",
      sent: [
        { request: "POST /api/embed", body: { model: "m", dimensions: 1, input: ["a", "b"] } },
      ],
    });
  });

  test("a terminal and no text is a mistake", async () => {
    await expect(runOn(testContext(), "embed", ["m"])).rejects.toBeInstanceOf(UsageError);
  });
});

/**
 * Over 400 lines because it is all of one route, whose rules build on each other.
 * `POST /api/generate` on a scripted engine: whole answers, loading, errors, cancelling (api.md 3, 5, 7).
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { EngineCrashedError, ModelLoadError, OutOfMemoryError } from "../../src/errors.ts";
import { type Application, masked, openApplication } from "../support/application.ts";

let application: Application;
beforeEach(async () => {
  application = openApplication();
  await application.create("m");
});
afterEach(() => application[Symbol.asyncDispose]());

const path = "/api/generate";
const codes = (text: string) => Array.from(text, (letter) => letter.codePointAt(0));
const loaded = async () => {
  const answer = await application.send("GET", "/api/ps");
  return ((await answer.json()) as { models: { name: string }[] }).models.map(({ name }) => name);
};

describe("an answer", () => {
  test("in one piece has all keys in Ollama's order", async () => {
    const { status, body } = await application.post(path, {
      model: "M",
      prompt: "Hi",
      stream: false,
    });
    expect(status).toBe(200);
    expect(JSON.stringify(masked(body))).toBe(
      JSON.stringify({
        model: "M",
        created_at: "time",
        response: "Hello there",
        done: true,
        done_reason: "stop",
        context: codes("HiHello there"),
        total_duration: "duration",
        load_duration: "duration",
        prompt_eval_count: 2,
        prompt_eval_duration: 3000,
        eval_count: 12,
        eval_duration: 4000,
      }),
    );
  });

  test("streams by default: pieces, then metrics with an empty piece", async () => {
    const lines = await application.lines(path, { model: "m", prompt: "Hi" });
    expect(lines.map((line) => JSON.stringify(masked(line)))).toEqual(
      [
        { model: "m", created_at: "time", response: "Hello", done: false },
        { model: "m", created_at: "time", response: " there", done: false },
        {
          model: "m",
          created_at: "time",
          response: "",
          done: true,
          done_reason: "stop",
          context: codes("HiHello there"),
          total_duration: "duration",
          load_duration: "duration",
          prompt_eval_count: 2,
          prompt_eval_duration: 3000,
          eval_count: 12,
          eval_duration: 4000,
        },
      ].map((line) => JSON.stringify(line)),
    );
  });

  test("is cut at its length without being finished", async () => {
    application.engine.answers = [{ steps: ["a"], reason: "length" }];
    const { body } = await application.post(path, { model: "m", prompt: "x", stream: false });
    expect(body).toMatchObject({ response: "a", done: true, done_reason: "length" });
  });

  test("carries log probabilities when asked, and no likeliest ones unless asked", async () => {
    application.engine.answers = [{ steps: ["a"] }];
    const wanted = { model: "m", prompt: "x", stream: false, logprobs: true };
    const plain = await application.post(path, wanted);
    const top = await application.post(path, { ...wanted, top_logprobs: 1 });
    const own = { token: "a", logprob: -0.5, bytes: [97] };
    expect(plain.body).toMatchObject({ logprobs: [own] });
    expect(JSON.stringify(plain.body)).not.toContain("top_logprobs");
    expect(top.body).toMatchObject({ logprobs: [{ ...own, top_logprobs: [own] }] });
    const lines = await application.lines(path, { ...wanted, stream: true });
    expect(lines.map((line) => "logprobs" in (line as object))).toEqual([true, false]);
  });
});

describe("the prompt", () => {
  const prompts = () =>
    application.engine.requests.map(({ prompt }) =>
      prompt.map((part) => ("text" in part ? part.text : "tokens")).join(""),
    );

  test("is sent bare without a template, rendered with one, and as it is when raw", async () => {
    await application.create("t", { template: "[{{ .System }}|{{ .Prompt }}]", system: "S" });
    await application.post(path, { model: "m", prompt: "x", stream: false });
    await application.post(path, { model: "t", prompt: "x", stream: false });
    await application.post(path, { model: "t", prompt: "x", stream: false, system: "R" });
    await application.post(path, { model: "t", prompt: "x", stream: false, raw: true });
    await application.post(path, {
      model: "m",
      prompt: "x",
      stream: false,
      template: "<{{ .Prompt }}>",
    });
    expect(prompts()).toEqual(["x", "[S|x]", "[R|x]", "x", "<x>"]);
  });

  test("goes on from a context", async () => {
    await application.post(path, { model: "m", prompt: "!", stream: false, context: codes("ab") });
    expect(prompts()).toEqual(["ab!"]);
  });

  test("raw refuses what raw cannot have, and gives no context back", async () => {
    const refused = await application.post(path, {
      model: "m",
      prompt: "x",
      raw: true,
      system: "s",
    });
    expect(refused).toEqual({
      status: 400,
      body: { error: "raw mode does not support template, system, or context" },
    });
    const raw = await application.post(path, { model: "m", prompt: "x", raw: true, stream: false });
    expect(raw.body).not.toHaveProperty("context");
  });

  test("is shown instead of an answer on demand", async () => {
    const wanted = {
      model: "m",
      prompt: "x",
      template: "<{{ .Prompt }}>",
      _debug_render_only: true,
    };
    const { body } = await application.post(path, wanted);
    expect(body).toMatchObject({ done: false, _debug_info: { rendered_template: "<x>" } });
    expect(application.engine.requests).toEqual([]);
  });

  test("that is too long loses its middle, or is refused", async () => {
    const long = { model: "m", prompt: "x".repeat(300), stream: false, options: { num_ctx: 100 } };
    await application.post(path, long);
    expect(application.engine.requests[0]?.prompt).toEqual([
      // The text stays whole for the answer's `context`.
      { tokens: codes("x".repeat(52)) as number[], texts: ["x".repeat(300)] },
    ]);
    expect(await application.post(path, { ...long, truncate: false })).toEqual({
      status: 400,
      body: { error: "the input length exceeds the context length" },
    });
    const { status, body } = await application.post(path, { ...long, shift: false });
    expect([status, (body as { error: string }).error]).toEqual([
      400,
      expect.stringContaining("the prompt is longer than the context length"),
    ]);
  });
});

describe("options", () => {
  test("of the request win over the model's, which win over the defaults", async () => {
    await application.create("p", { parameters: { temperature: 0.1, top_k: 7, stop: ["A"] } });
    await application.post(path, {
      model: "p",
      prompt: "x",
      stream: false,
      options: { temperature: 0.5, seed: 42, stop: ["B", ""], num_predict: 9, unknown: 1 },
    });
    const [request] = application.engine.requests;
    expect(request).toMatchObject({
      sampling: { temperature: 0.5, topK: 7, topP: 0.9, seed: 42 },
      stop: ["B"],
      maxTokens: 9,
      shift: true,
      keep: 4,
    });
  });

  test.each([[-1], [0], [1_000_000]])("num_predict %d is bounded", async (num_predict) => {
    const options = { num_predict, num_ctx: 100 };
    await application.post(path, { model: "m", prompt: "x", stream: false, options });
    expect(application.engine.requests[0]?.maxTokens).toBe(1000);
  });

  test("beyond all numbers reach the engine as the largest", async () => {
    const options = { temperature: 1e300, presence_penalty: -1e300 };
    await application.post(path, { model: "m", prompt: "x", stream: false, options });
    const [seen] = application.engine.requests;
    expect(seen?.sampling.temperature).toBe(3.4028234663852886e38);
    expect(seen?.sampling.presencePenalty).toBe(-3.4028234663852886e38);
  });

  test("seeds of 63 bits are reduced to 32, the same each time", async () => {
    const body = '{"model":"m","prompt":"x","stream":false,"options":{"seed":9223372036854775000}}';
    for (let i = 0; i < 2; i++) await (await application.send("POST", path, body)).text();
    const [first, second] = application.engine.requests.map(({ sampling }) => sampling.seed);
    expect(first).toBe(second ?? -1);
    expect(first).toBeLessThan(2 ** 32);
  });

  test.each([
    [{ temperature: "hot" }, 'option "temperature" must be of type float32'],
    [{ num_ctx: "x" }, 'option "num_ctx" must be of type integer'],
    [{ stop: "x" }, 'option "stop" must be of type array'],
    [{ use_mmap: 1 }, 'option "use_mmap" must be of type boolean'],
  ])("%p is an error of the server's making, as in Ollama", async (options, error) => {
    const answer = await application.post(path, { model: "m", prompt: "x", options });
    expect(answer).toEqual({ status: 500, body: { error } });
  });

  test("an unusable format is refused with 500, as in Ollama", async () => {
    const { status, body } = await application.post(path, {
      model: "m",
      prompt: "x",
      format: "xml",
    });
    expect([status, body]).toEqual([
      500,
      {
        error: 'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object',
      },
    ]);
  });

  test("too many likeliest tokens are refused before the name is looked at", async () => {
    expect(await application.post(path, { model: "nosuch", top_logprobs: 21 })).toEqual({
      status: 400,
      body: { error: "top_logprobs must be between 0 and 20" },
    });
  });
});

describe("loading and unloading", () => {
  test("an empty prompt loads, in one plain object though streaming was asked for", async () => {
    const answer = await application.send("POST", path, { model: "m", stream: true });
    expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(masked(await answer.json())).toEqual({
      model: "m",
      created_at: "time",
      response: "",
      done: true,
      done_reason: "load",
    });
    expect([await loaded(), application.engine.requests.length]).toEqual([["m:latest"], 0]);
  });

  test("an empty prompt and keep_alive 0 unload, also what is not loaded", async () => {
    await application.post(path, { model: "m" });
    for (const keep_alive of [0, "0s"]) {
      const { status, body } = await application.post(path, { model: "m", keep_alive });
      expect([status, masked(body)]).toEqual([
        200,
        { model: "m", created_at: "time", response: "", done: true, done_reason: "unload" },
      ]);
      expect(await loaded()).toEqual([]);
    }
  });

  test("unloading comes before all other checks but the name's", async () => {
    const odd = { keep_alive: 0, suffix: "x", options: { temperature: "hot" } };
    expect((await application.post(path, { model: "m", ...odd })).status).toBe(200);
    expect((await application.post(path, { model: "nosuch", ...odd })).status).toBe(404);
  });

  test("a prompt with keep_alive 0 runs, then unloads", async () => {
    const { body } = await application.post(path, {
      model: "m",
      prompt: "x",
      keep_alive: 0,
      stream: false,
    });
    expect(body).toMatchObject({ done_reason: "stop" });
    expect(await loaded()).toEqual([]);
  });

  test("ps tells what is loaded and until when", async () => {
    await application.post(path, { model: "m", keep_alive: -1, options: { num_ctx: 1000 } });
    const answer = await application.send("GET", "/api/ps");
    const { models } = (await answer.json()) as { models: Record<string, unknown>[] };
    expect<unknown>(
      models.map(({ digest, ...row }) => ({ ...row, digest: String(digest).length })),
    ).toEqual([
      {
        name: "m:latest",
        model: "m:latest",
        size: 1_000_000,
        digest: 64,
        details: {
          parent_model: "",
          format: "gguf",
          family: "llama",
          families: ["llama"],
          parameter_size: "32",
          quantization_level: "unknown",
        },
        expires_at: expect.stringMatching(/^23\d\d-/),
        size_vram: 0,
        context_length: 1000,
      },
    ]);
  });

  test("a model that cannot be loaded is an error with its status", async () => {
    application.engine.onLoad = () => Promise.reject(new ModelLoadError("broken tensor"));
    for (const stream of [true, false]) {
      const answer = await application.post(path, { model: "m", prompt: "x", stream });
      expect(answer).toEqual({ status: 500, body: { error: "broken tensor" } });
    }
  });
});

describe("capabilities", () => {
  test.each([
    [{ suffix: "y" }, "registry.ollama.ai/library/m:latest does not support insert"],
    [{ think: true }, '"m" does not support thinking'],
    [{ think: "high" }, '"m" does not support thinking'],
  ])("%p", async (fields, error) => {
    const answer = await application.post(path, { model: "m", prompt: "x", ...fields });
    expect(answer).toEqual({ status: 400, body: { error } });
  });

  test("think:false asks for nothing", async () => {
    const answer = await application.post(path, {
      model: "m",
      prompt: "x",
      think: false,
      stream: false,
    });
    expect(answer.status).toBe(200);
  });
});

describe("errors in a run", () => {
  const failure = new EngineCrashedError("signal 9");

  test("before the first piece keep their status", async () => {
    application.engine.answers = [{ steps: [failure] }];
    const answer = await application.send("POST", path, { model: "m", prompt: "x" });
    expect([answer.status, answer.headers.get("content-type"), await answer.json()]).toEqual([
      500,
      "application/json",
      { error: "signal 9" },
    ]);
  });

  test("after it are one more line, and nothing follows", async () => {
    application.engine.answers = [{ steps: ["a", failure] }];
    const lines = await application.lines(path, { model: "m", prompt: "x" });
    expect(masked(lines)).toEqual([
      { model: "m", created_at: "time", response: "a", done: false },
      { error: "an error was encountered while running the model: signal 9" },
    ]);
  });

  test("keep their status at any point when nothing is streamed", async () => {
    application.engine.answers = [{ steps: ["a", failure] }];
    const answer = await application.post(path, { model: "m", prompt: "x", stream: false });
    expect(answer).toEqual({ status: 500, body: { error: "signal 9" } });
  });

  test("give the model back, whatever happened", async () => {
    application.engine.answers = [
      { steps: [failure] },
      { steps: ["a", failure] },
      { steps: ["b"] },
    ];
    await application.post(path, { model: "m", prompt: "x" });
    await application.lines(path, { model: "m", prompt: "x" });
    await application.lines(path, { model: "m", prompt: "x", keep_alive: 0 });
    expect(await loaded()).toEqual([]);
  });

  test("out of memory unloads everything", async () => {
    application.engine.answers = [{ steps: ["a", new OutOfMemoryError("no memory")] }];
    await application.lines(path, { model: "m", prompt: "x" });
    expect(await loaded()).toEqual([]);
  });
});

describe("a client that leaves", () => {
  test("while its answer streams ends the run", async () => {
    const held = Promise.withResolvers<void>();
    application.engine.answers = [{ steps: ["a", held.promise, "b"] }];
    const answer = await application.send("POST", path, { model: "m", prompt: "x", keep_alive: 0 });
    const reader = answer.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    expect(application.engine.canceled).toBe(1);
    expect(await loaded()).toEqual([]);
  });

  test("before the first piece ends the run too", async () => {
    const held = Promise.withResolvers<void>();
    application.engine.answers = [{ steps: [held.promise] }];
    const abort = new AbortController();
    const url = `http://localhost${path}`;
    const body = JSON.stringify({ model: "m", prompt: "x" });
    const answer = application.app.handle(
      new Request(url, { method: "POST", body, signal: abort.signal }),
    );
    while (application.engine.requests.length === 0) await Bun.sleep(1);
    abort.abort();
    expect((await answer).status).toBe(499);
    expect(application.engine.canceled).toBe(1);
  });

  test("while its model loads ends the load", async () => {
    const loading = Promise.withResolvers<AbortSignal>();
    application.engine.onLoad = (_, signal) => {
      loading.resolve(signal);
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    };
    const abort = new AbortController();
    const answer = application.app.handle(
      new Request(`http://localhost${path}`, {
        method: "POST",
        body: JSON.stringify({ model: "m", prompt: "x" }),
        signal: abort.signal,
      }),
    );
    const signal = await loading.promise;
    abort.abort();
    const refused = await answer;
    expect([signal.aborted, refused.status, await refused.json()]).toEqual([
      true,
      499,
      { error: "request canceled" },
    ]);
  });

  test("a reader sets the pace: nothing is taken from the engine ahead of it", async () => {
    application.engine.answers = [{ steps: Array.from({ length: 1000 }, () => "word ") }];
    const answer = await application.send("POST", path, { model: "m", prompt: "x" });
    const reader = answer.body?.getReader();
    await reader?.read();
    for (let turn = 0; turn < 50; turn++) await new Promise((next) => setImmediate(next));
    expect(application.engine.taken).toBeLessThan(5);
    await reader?.cancel();
  });
});

describe("thinking", () => {
  const template =
    "{{ range .Messages }}{{ .Role }}: {{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}\n{{ end }}assistant: ";

  test("is split from the answer by default, and left in it when it was switched off", async () => {
    await application.create("t", { template });
    application.engine.answers = [{ steps: ["<think>", "hm", "</think>", "\nyes"] }];
    const { body } = await application.post(path, { model: "t", prompt: "x", stream: false });
    expect(body).toMatchObject({ response: "yes", thinking: "hm" });
    const lines = await application.lines(path, { model: "t", prompt: "x" });
    const pieces = lines.map((line) => {
      const { response, thinking } = line as { response: string; thinking?: string };
      return [thinking ?? "", response];
    });
    // Every step makes an object, even one whose text is a tag.
    expect(pieces).toEqual([
      ["", ""],
      ["hm", ""],
      ["", ""],
      ["", "yes"],
      ["", ""],
    ]);
  });
});

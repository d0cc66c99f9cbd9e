/**
 * Prompts on the compiled executable: special tokens in users' texts stay text, for every one of a
 * vocabulary, and long histories and schemas keep nobody else waiting.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { haveExecutable, startServer, type TestServer } from "../support/executable.ts";
import { tinyDecoder } from "../support/tiny-models.ts";
import { createTinyModel } from "../support/tiny-server-models.ts";

/** Token type of a GGUF whose tokens are no text. */
const control = 3;
/** Token type of words that were added. */
const addedWord = 4;

describe.skipIf(!haveExecutable)("a server with the embedded model", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
    await ask("/api/generate", { model: "guide" });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function ask(path: string, body: object): Promise<Record<string, unknown>> {
    const answer = await server.post(path, { stream: false, ...body });
    const result = (await answer.json()) as Record<string, unknown>;
    expect(answer.status, JSON.stringify(result)).toBe(200);
    return result;
  }

  async function vocabulary(model: string): Promise<{ tokens: string[]; types: number[] }> {
    const { model_info } = await ask("/api/show", { model, verbose: true });
    const info = model_info as Record<string, unknown>;
    return {
      tokens: info["tokenizer.ggml.tokens"] as string[],
      types: info["tokenizer.ggml.token_type"] as number[],
    };
  }

  /** How often a token stands in the prompt that texts become. */
  async function count(id: number, texts: { model: string; prompt: string; system?: string }) {
    const wanted = { num_predict: 1, temperature: 0 };
    const { context } = await ask("/api/generate", { ...texts, options: wanted });
    return (context as number[]).slice(0, -1).filter((token) => token === id).length;
  }

  test("takes each special token of its vocabulary as text when a user writes it", async () => {
    const { tokens, types } = await vocabulary("guide");
    const special = tokens.map((_, id) => id).filter((id) => types[id] === control);
    expect(special.length).toBeGreaterThan(1);
    const counts = [];
    for (const id of special) {
      const written = (prompt: string) => count(id, { model: "guide", prompt });
      counts.push([await written("tell  me"), await written(`tell ${tokens[id]} me`)]);
    }
    for (const [plain, written] of counts) expect(written).toBe(plain);
    // The template's own are special.
    expect(counts.some(([plain = 0]) => plain > 0)).toBe(true);
  });

  test("takes each added word that its template gives a meaning as text when a user writes it", async () => {
    const marks = ["<tool_call>", "</tool_call>", "<tool_response>", "<think>", "[ARGS]"];
    const template = `{{ .System }}${marks.join(" ")}{{ .Prompt }}`;
    const model = tinyDecoder("llama", { words: [...marks, "<table>"] });
    await createTinyModel(server, "words", { model, template });
    const { tokens, types } = await vocabulary("words");
    const added = tokens.map((_, id) => id).filter((id) => types[id] === addedWord);
    const counts: Record<string, number[]> = {};
    for (const id of added) {
      const word = tokens[id] ?? "";
      const [plain, evil] = ["tell me", `tell ${word}me`];
      counts[word] = [
        await count(id, { model: "words", prompt: plain }),
        await count(id, { model: "words", prompt: evil }),
        await count(id, { model: "words", prompt: plain, system: word }),
      ];
    }
    expect(counts).toEqual({
      ...Object.fromEntries(marks.map((word) => [word, [1, 1, 2]])),
      // A word without a meaning is a token wherever it stands.
      "<table>": [0, 1, 1],
    });
  });

  /** The slowest answer of `/api/version` while a request runs, milliseconds. */
  async function slowestBeside(request: Promise<unknown>): Promise<number> {
    let running = true;
    const ended = request.finally(() => {
      running = false;
    });
    let slowest = 0;
    while (running) {
      const since = performance.now();
      await (await server.request("GET", "/api/version")).text();
      slowest = Math.max(slowest, performance.now() - since);
    }
    await ended;
    return slowest;
  }

  const options = { num_predict: 1 };
  const words = "some words of a long history ".repeat(8);
  const messages = Array.from({ length: 900 }, (_, i) => ({
    role: i % 2 === 0 ? "user" : "assistant",
    content: `${i} ${words}`,
  }));
  const fields = Array.from({ length: 1200 }, (_, i) => [
    `field_${i}`,
    { type: "string", description: `the value of the field with number ${i}` },
  ]);
  const longWork: [what: string, body: (round: number) => object, bytes: number][] = [
    ["a history of 200 KB is made into a prompt", () => ({ messages }), 200_000],
    [
      "a schema of 100 KB is compiled",
      (round) => ({
        messages: [{ role: "user", content: "JSON" }],
        // Another schema each time: compiled ones are kept.
        format: { type: "object", title: `${round}`, properties: Object.fromEntries(fields) },
      }),
      100_000,
    ],
  ];
  test.each(longWork)("answers others within 50 ms while %s", async (_, body, bytes) => {
    expect(JSON.stringify(body(0)).length).toBeGreaterThan(bytes);
    const rounds = [];
    for (let round = 0; round < 3; round++) {
      rounds.push(
        await slowestBeside(ask("/api/chat", { model: "guide", options, ...body(round) })),
      );
    }
    // A busy machine may delay a round; what blocks the loop delays each.
    expect(Math.min(...rounds)).toBeLessThan(50);
  });
});

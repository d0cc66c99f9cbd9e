/** Ollama's own clients against the executable, on the embedded model. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Ollama } from "ollama";
import { z } from "zod";
import {
  haveExecutable,
  startServer,
  type TestServer,
  temporaryFolder,
} from "../support/executable.ts";
import { png, wav } from "../support/pictures.ts";
import { pythonWith } from "../support/python.ts";
import { tinyDecoder, tinyProjector } from "../support/tiny-models.ts";
import { createTinyModel } from "../support/tiny-server-models.ts";

let server: TestServer;
let client: Ollama;

const model = "guide";
const hello = [{ role: "user", content: "hello" }];
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Weather of a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string", description: "name of the city" } },
      required: ["city"],
    },
  },
};

async function start(): Promise<void> {
  server = await startServer();
  client = new Ollama({ host: server.url });
  // The embedded model is installed when somebody first asks for it.
  await client.show({ model });
}

/** Models that look and listen, and files for them. */
async function startMedia() {
  await createTinyModel(server, "sees", {
    model: tinyDecoder("llama"),
    projector: tinyProjector("mlp"),
  });
  await createTinyModel(server, "hears", {
    model: tinyDecoder("llama"),
    projector: tinyProjector("qwen2a"),
  });
  const folder = await temporaryFolder();
  const files = { image: join(folder.path, "meadow.png"), sound: join(folder.path, "tone.wav") };
  const [image, sound] = [png([20, 160, 30], [120, 190, 250]), wav(440)];
  await Promise.all([Bun.write(files.image, image), Bun.write(files.sound, sound)]);
  return { image, sound, files, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

describe.skipIf(!haveExecutable)("ollama-js", () => {
  beforeAll(start);
  afterAll(async () => await server?.[Symbol.asyncDispose]());

  test("lists models", async () => {
    const { models } = await client.list();
    expect(models.map(({ name }) => name)).toEqual(["guide:latest"]);
  });

  test("streams a chat", async () => {
    let text = "";
    let done = 0;
    for await (const piece of await client.chat({ model, messages: hello, stream: true })) {
      text += piece.message.content;
      if (piece.done) done++;
    }
    expect(text).not.toBe("");
    expect(done).toBe(1);
  });

  test("aborts a stream, and the next request works", async () => {
    const options = { num_predict: 5000 };
    const endless = await client.generate({ model, prompt: "a story", stream: true, options });
    const reading = (async () => {
      for await (const _ of endless) client.abort();
    })();
    expect(reading).rejects.toMatchObject({ name: "AbortError" });
    await reading.catch(() => undefined);
    const { done } = await client.chat({ model, messages: hello });
    expect(done).toBe(true);
  });

  test("calls a tool and answers from its result", async () => {
    const messages = [{ role: "user", content: "What is the weather in Paris?" }];
    const options = { temperature: 0 };
    const { message } = await client.chat({ model, messages, tools: [weather], options });
    expect(message.tool_calls?.map(({ function: call }) => call.name)).toEqual(["get_weather"]);
    expect(message.tool_calls?.[0]?.function.arguments).toHaveProperty("city");
    const result = { role: "tool", content: "mild", tool_name: "get_weather" };
    const after = await client.chat({
      model,
      messages: [...messages, message, result],
      tools: [weather],
      options,
    });
    expect(after.message.content).not.toBe("");
  });

  test("gets an answer that keeps to a schema", async () => {
    const format = {
      type: "object",
      properties: { name: { type: "string", maxLength: 20 }, age: { type: "integer" } },
      required: ["name", "age"],
      additionalProperties: false,
    };
    const { message } = await client.chat({ model, messages: hello, format });
    expect(JSON.parse(message.content)).toEqual({
      name: expect.any(String),
      age: expect.any(Number),
    });
  });

  test("gets an answer that zod takes", async () => {
    const Pet = z.object({ name: z.string().max(12), kind: z.enum(["cat", "dog"]) });
    const Owner = z.object({ age: z.int().min(0).max(99), pets: z.array(Pet).min(1).max(2) });
    const format = z.toJSONSchema(Owner);
    const request = { model, messages: hello, format, options: { num_predict: 400 } };
    let content = "";
    for await (const piece of await client.chat({ ...request, stream: true })) {
      content += piece.message.content;
    }
    expect(Owner.parse(JSON.parse(content)).pets[0]?.kind).toMatch(/^(cat|dog)$/);
  });

  test("sends images and sound as bytes, as base64 and as files", async () => {
    await using media = await startMedia();
    const options = { temperature: 0, num_predict: 8 };
    const see = (image: string | Uint8Array) => {
      const messages = [{ role: "user", content: "what is it?", images: [image as string] }];
      return client.chat({ model: "sees", messages, options });
    };
    const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
    const { message, prompt_eval_count } = await see(media.image);
    expect(prompt_eval_count).toBeGreaterThan(10);
    for (const same of [base64(media.image), media.files.image]) {
      expect((await see(same)).message).toEqual(message);
    }
    const generated = await client.generate({
      model: "sees",
      prompt: "what is it?",
      images: [media.image],
      options,
    });
    expect(generated.response).toBe(message.content);
    const messages = [{ role: "user", content: "what is it?", images: [media.files.sound] }];
    const heard = await client.chat({ model: "hears", messages, options });
    expect(heard.prompt_eval_count).toBeGreaterThan(700);
    await expect(see("bm8gaW1hZ2U=")).rejects.toMatchObject({ status_code: 400 });
  });

  test("embeds texts", async () => {
    const { embeddings } = await client.embed({ model, input: ["one", "two"] });
    expect(embeddings).toHaveLength(2);
    expect(Math.hypot(...(embeddings[0] ?? []))).toBeCloseTo(1, 3);
  });

  test("copies, shows and deletes", async () => {
    await client.copy({ source: model, destination: "other" });
    expect((await client.show({ model: "other" })).details.family).toBe("llama");
    await client.delete({ model: "other" });
    expect(client.show({ model: "other" })).rejects.toMatchObject({
      status_code: 404,
      error: expect.stringContaining("not found"),
    });
  });
});

const { python, missing } = haveExecutable
  ? pythonWith("ollama==0.6.3")
  : { python: undefined, missing: "no executable" };

describe.skipIf(python === undefined)(`ollama-python${missing ? ` (${missing})` : ""}`, () => {
  beforeAll(start);
  afterAll(async () => await server?.[Symbol.asyncDispose]());

  test("sees what it sees of Ollama", async () => {
    await using media = await startMedia();
    const script = join(import.meta.dir, "clients.py");
    const { image, sound } = media.files;
    const child = Bun.spawn([python ?? "", script, server.url, image, sound], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect(await child.exited, err).toBe(0);
    expect(JSON.parse(out)).toEqual({
      list: ["guide:latest", "hears:latest", "sees:latest"],
      chat: { text: expect.stringMatching(/./), done: 1, reason: "stop", counts: true },
      after: true,
      cancelled: true,
      tools: [["get_weather", { city: expect.any(String) }]],
      result: "assistant",
      format: ["age", "name"],
      embed: [2, 1],
      images: { same: 1, counted: true, generated: true },
      sound: true,
      broken: [400, expect.stringMatching(/image 1 .*no known format/)],
      show: true,
      ps: ["guide:latest"],
      missing: [404, "model 'nobody' not found"],
    });
  }, 60_000);
});

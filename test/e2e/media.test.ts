/** Images, sound and embeddings over HTTP, on the compiled executable and models made for it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  createModel,
  haveExecutable,
  lines,
  startServer,
  type TestServer,
} from "../support/executable.ts";
import { png, wav } from "../support/pictures.ts";
import { tinyDecoder, tinyEncoder, tinyProjector } from "../support/tiny-models.ts";
import { createTinyModel } from "../support/tiny-server-models.ts";

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const sunset = base64(png([220, 90, 10], [40, 10, 90]));
const meadow = base64(png([20, 160, 30], [120, 190, 250]));
const options = { temperature: 0, num_predict: 16 };

interface Answer {
  readonly message?: { readonly content: string };
  readonly response?: string;
  readonly error?: string;
  readonly prompt_eval_count?: number;
  readonly embeddings?: number[][];
  readonly logprobs?: readonly { readonly logprob: number }[];
}

describe.skipIf(!haveExecutable)("a server with models that see, hear and embed", () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer();
    await createTinyModel(server, "sees", {
      model: tinyDecoder("llama"),
      projector: tinyProjector("mlp"),
    });
    const grids = tinyProjector("qwen2vl_merger");
    await createTinyModel(server, "grids", { model: tinyDecoder("qwen2vl"), projector: grids });
    await createTinyModel(server, "hears", {
      model: tinyDecoder("llama"),
      projector: tinyProjector("qwen2a"),
    });
    await createTinyModel(server, "reads", { model: tinyDecoder("llama") });
    await createTinyModel(server, "embeds", { model: tinyEncoder() });
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const ask = async (path: string, body: unknown) => {
    const answer = await server.post(path, body);
    return { status: answer.status, body: (await answer.json()) as Answer };
  };
  const chat = (model: string, images: readonly string[], content = "what is it?") =>
    ask("/api/chat", {
      model,
      messages: [{ role: "user", content, images }],
      stream: false,
      logprobs: true,
      options,
    });
  /** How likely the first token was: moves with all that was read, where random words may not. */
  const likely = ({ body }: { body: Answer }) => body.logprobs?.[0]?.logprob ?? Number.NaN;

  test("shows what a model can", async () => {
    const shown = async (model: string) =>
      ((await ask("/api/show", { model })).body as { capabilities?: string[] }).capabilities;
    expect(await shown("sees")).toContain("vision");
    expect(await shown("reads")).not.toContain("vision");
    expect(await shown("embeds")).toEqual(["embedding"]);
  });

  for (const model of ["sees", "grids"]) {
    test(`${model}: answers by the image, the same each time, several in their order`, async () => {
      const one = await chat(model, [sunset]);
      expect(one.status).toBe(200);
      expect(Math.abs(likely(await chat(model, [meadow])) - likely(one))).toBeGreaterThan(1e-3);
      const again = await chat(model, [sunset]);
      expect(again.body.message).toEqual(one.body.message);
      expect(likely(again)).toBeCloseTo(likely(one), 3);
      const both = await chat(model, [sunset, meadow]);
      expect(both.body.prompt_eval_count).toBeGreaterThan(one.body.prompt_eval_count ?? 1e9);
      const turned = await chat(model, [meadow, sunset]);
      expect(Math.abs(likely(turned) - likely(both))).toBeGreaterThan(1e-3);
    });
  }

  test("streams an answer to an image, and generates with one", async () => {
    const messages = [{ role: "user", content: "what is it?", images: [sunset] }];
    const answer = await server.post("/api/chat", { model: "sees", messages, options });
    let text = "";
    let done = false;
    for await (const line of lines(answer)) {
      text += (line as Answer).message?.content ?? "";
      done = line.done === true;
    }
    expect(done).toBe(true);
    expect(text).toBe((await chat("sees", [sunset])).body.message?.content ?? "none");
    const generated = await ask("/api/generate", {
      model: "sees",
      prompt: "what is it?",
      images: [sunset],
      stream: false,
      options,
    });
    expect(generated.body.response).toBe(text);
  });

  test("takes WebP in the executable too", async () => {
    const webp = await new Bun.Image(Buffer.from(sunset, "base64"))
      .webp({ lossless: true })
      .bytes();
    const seen = await chat("sees", [base64(webp)]);
    expect(seen.body.message).toEqual((await chat("sees", [sunset])).body.message);
  });

  test("hears sound, and says that it sees nothing", async () => {
    const heard = await chat("hears", [base64(wav(440))]);
    expect(heard.status).toBe(200);
    expect(heard.body.prompt_eval_count).toBeGreaterThan(700);
    const seen = await chat("hears", [sunset]);
    expect(seen).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/takes no images/) },
    });
  });

  const refusals: [what: string, model: string, image: string, error: RegExp][] = [
    ["a text model", "reads", sunset, /does not support multimodal/],
    ["a broken image", "sees", base64(Buffer.from("no image")), /image 1 .*no known format/],
    ["a cut image", "sees", sunset.slice(0, 80), /image 1 /],
    ["a PDF", "sees", base64(Buffer.from("%PDF-1.7")), /it is PDF/],
  ];
  for (const [what, model, image, error] of refusals) {
    test(`refuses ${what} with 400 and the reason, streaming or not`, async () => {
      const said = { error: expect.stringMatching(error) };
      expect(await chat(model, [image])).toMatchObject({ status: 400, body: said });
      const messages = [{ role: "user", content: "x", images: [image] }];
      const streamed = await server.post("/api/chat", { model, messages, options });
      expect(streamed.status).toBe(400);
      expect(await streamed.json()).toMatchObject(said);
    });
  }

  test("goes on when a client leaves while its images are read", async () => {
    const images = Array.from({ length: 6 }, (_, i) => base64(png([i, 0, 0], [0, i, 0])));
    const leave = new AbortController();
    const messages = [{ role: "user", content: "x", images }];
    const request = server.post("/api/chat", { model: "sees", messages }, { signal: leave.signal });
    leave.abort();
    expect(await request.catch((error: Error) => error.name)).toBe("AbortError");
    expect((await chat("sees", [sunset])).status).toBe(200);
  });

  test("embeds many texts of many requests as it embeds each alone", async () => {
    const texts = Array.from({ length: 100 }, (_, i) => `a text with number ${i}`);
    const whole = await ask("/api/embed", { model: "embeds", input: texts });
    expect(whole.body.embeddings).toHaveLength(100);
    const alone = await Promise.all(
      texts.slice(0, 10).map((input) => ask("/api/embed", { model: "embeds", input })),
    );
    for (const [i, { body }] of alone.entries()) {
      const vector = body.embeddings?.[0] ?? [];
      const apart = vector.map((value, at) =>
        Math.abs(value - (whole.body.embeddings?.[i]?.[at] ?? 9)),
      );
      expect(Math.max(...apart)).toBeLessThan(5e-4);
    }
  });

  test("embeds with a model that also answers, meanwhile", async () => {
    const [embedded, answered] = await Promise.all([
      ask("/api/embed", { model: "reads", input: ["one", "two"] }),
      chat("reads", [], "hello"),
    ]);
    expect(embedded.body.embeddings).toHaveLength(2);
    expect(answered.status).toBe(200);
  });
});

describe.skipIf(!haveExecutable)("a server that must give the same vectors always", () => {
  test("embeds one text at a time", async () => {
    await using server = await startServer({ env: { HUTCH_DETERMINISTIC: "1" } });
    const path = `${server.home}/encoder.gguf`;
    await Bun.write(path, tinyEncoder());
    await createModel(server, "embeds", path);
    const embed = async (input: unknown) => {
      const answer = await server.post("/api/embed", { model: "embeds", input });
      return ((await answer.json()) as Answer).embeddings ?? [];
    };
    const texts = Array.from({ length: 20 }, (_, i) => "a b c d ".repeat(i + 1));
    const together = await embed(texts);
    for (const [i, text] of texts.entries()) {
      const [alone = []] = await embed(text);
      const apart = alone.map((value, at) => Math.abs(value - (together[i]?.[at] ?? 9)));
      expect(Math.max(...apart)).toBeLessThan(1e-6);
    }
  });
});

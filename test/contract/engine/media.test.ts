/** Prompts with images and sound on libllama, with models and projectors made for it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Engine, LoadedModel, PromptPart } from "../../../src/engine/engine.ts";
import { ContextOverflowError, InvalidRequestError } from "../../../src/errors.ts";
import { gif, png, wav } from "../../support/pictures.ts";
import {
  type TinyArchitecture,
  type TinyProjector,
  tinyDecoder,
  tinyProjector,
} from "../../support/tiny-models.ts";
import { loadSpec, request } from "./cases.ts";
import { haveLibrary, nativeEngine } from "./native.ts";

const never = new AbortController().signal;
const red = [220, 20, 30] as const;
const blue = [10, 30, 200] as const;
const white = [255, 255, 255] as const;

const text = (words: string): PromptPart => ({ text: words, parseSpecial: false });
const media = (bytes: Uint8Array): PromptPart => ({ media: bytes });

let folder = "";
let engine: Engine;

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

async function load(
  arch: TinyArchitecture,
  projector: TinyProjector | undefined,
  contextLength = 2048,
): Promise<LoadedModel> {
  const projectors =
    projector === undefined ? [] : [file(`projector-${projector}.gguf`, tinyProjector(projector))];
  const path = file(`${arch}.gguf`, tinyDecoder(arch));
  return engine.load({ ...loadSpec(path), contextLength, projectors }, never);
}

async function answer(model: LoadedModel, prompt: readonly PromptPart[], maxTokens = 24) {
  let words = "";
  for await (const event of model.generate(request("", { prompt, maxTokens }), never)) {
    if (event.type === "text") words += event.text;
    else return { text: words, done: event };
  }
  throw new Error("the stream ended without its final event");
}

/** The probabilities of the first token: they move when anything that was read differs. */
async function likeliest(model: LoadedModel, prompt: readonly PromptPart[]): Promise<number[]> {
  const wanted = request("", { prompt, maxTokens: 1, logprobs: 5 });
  for await (const event of model.generate(wanted, never)) {
    if (event.type === "text") return event.logprobs?.[0]?.top.map(({ logprob }) => logprob) ?? [];
  }
  throw new Error("no text came");
}

function distance(a: readonly number[], b: readonly number[]): number {
  return Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? 9))));
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hutch-test-"));
  engine = nativeEngine();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const pairs: [TinyArchitecture, TinyProjector, string][] = [
  ["llama", "mlp", "rows like tokens"],
  ["gemma3", "gemma3", "rows decoded at once"],
  ["qwen2vl", "qwen2vl_merger", "positions in two dimensions"],
];

for (const [arch, projector, what] of pairs) {
  describe.skipIf(!haveLibrary)(`images through ${projector}: ${what}`, () => {
    let model: LoadedModel;
    beforeAll(async () => {
      model = await load(arch, projector);
    });
    afterAll(() => model?.[Symbol.asyncDispose]());

    test("tells that it takes images", () => {
      expect(model.info.inputs).toEqual({ images: true, sound: false });
    });

    test("answers by what the image shows, the same each time", async () => {
      const ask = (bytes: Uint8Array) => answer(model, [media(bytes), text("what is it")]);
      const first = await ask(png(red, blue));
      const other = await ask(png(white, red));
      const again = await ask(png(red, blue));
      expect(again.text).toBe(first.text);
      expect(other.text).not.toBe(first.text);
      expect(first.done.promptTokens).toBeGreaterThan(12);
    });

    test("takes an image that it has read before from the cache, and no other one", async () => {
      const prompt = [text("look at "), media(png(blue, white)), text(" now say what it is")];
      const { done, text: words } = await answer(model, prompt);
      const cached = await answer(model, prompt);
      expect(cached.done.cachedTokens).toBe(done.promptTokens - 1);
      expect(cached.text).toBe(words);
      const changed = await answer(model, [
        text("look at "),
        media(png(white, blue)),
        ...prompt.slice(2),
      ]);
      expect(changed.done.cachedTokens).toBeLessThan(12);
    });

    test("reads several images in their order", async () => {
      const images = [media(png(red, red)), media(png(blue, white))];
      const one = await likeliest(model, [...images, text("compare")]);
      const other = await likeliest(model, [...images.toReversed(), text("compare")]);
      expect(distance(one, other)).toBeGreaterThan(1e-3);
    });

    test("answers others with the text that they get alone, while images are read", async () => {
      const alone = await answer(model, [text("once upon a time")]);
      const image = await answer(model, [media(png(red, white)), text("and")]);
      await answer(model, [text("something else to fill the slot")]);
      const [plain, seen] = await Promise.all([
        answer(model, [text("once upon a time")]),
        answer(model, [media(png(red, white)), text("and")]),
      ]);
      expect(plain.text).toBe(alone.text);
      expect(seen.text).toBe(image.text);
    });

    test("answers a prompt that ends in an image", async () => {
      const { text: words, done } = await answer(model, [text("see "), media(png(red, blue))]);
      expect(words.length).toBeGreaterThan(0);
      const again = await answer(model, [text("see "), media(png(red, blue))]);
      expect(again.text).toBe(words);
      expect(again.done.promptTokens).toBe(done.promptTokens);
    });

    test("frees the slot of a request that is given up while its images are read", async () => {
      const images = Array.from({ length: 4 }, (_, i) => media(png([i, 0, 0], [0, i, 9])));
      for (let round = 0; round < 3; round++) {
        const abort = new AbortController();
        const prompt = [...images, text("what is it")];
        const events = model.generate(request("", { prompt, maxTokens: 4 }), abort.signal);
        const reading = events[Symbol.asyncIterator]().next();
        await Bun.sleep(round * 3);
        abort.abort();
        expect(await reading.catch((error: Error) => error.name)).toBe("AbortError");
      }
      expect((await answer(model, [text("and now")], 4)).done.evalTokens).toBeGreaterThan(0);
    });
  });
}

describe.skipIf(!haveLibrary)("formats of images", () => {
  let model: LoadedModel;
  beforeAll(async () => {
    model = await load("llama", "mlp");
  });
  afterAll(() => model?.[Symbol.asyncDispose]());

  test("reads JPEG, GIF and WebP; WebP without loss says what its PNG says", async () => {
    const picture = png(red, blue);
    const webp = await new Bun.Image(picture).webp({ lossless: true }).bytes();
    const jpeg = await new Bun.Image(picture).jpeg({ quality: 95 }).bytes();
    const original = await answer(model, [media(picture), text("what")]);
    expect((await answer(model, [media(webp), text("what")])).text).toBe(original.text);
    for (const bytes of [jpeg, gif]) {
      const { done } = await answer(model, [media(bytes), text("what")], 2);
      expect(done.promptTokens).toBe(original.done.promptTokens);
    }
  });

  const broken: [what: string, bytes: Uint8Array, message: RegExp][] = [
    ["a cut PNG", png(red, blue).subarray(0, 60), /image 1.*PNG|image 1/],
    ["a text", Buffer.from("this is no image"), /image 1.*no known format.*PNG, JPEG, WebP/],
    ["nothing", new Uint8Array(), /image 1.*no known format/],
    ["a PDF", Buffer.from("%PDF-1.7 and more"), /image 1.*it is PDF/],
    ["sound", wav(440), /takes no sound/],
  ];
  for (const [what, bytes, message] of broken) {
    test(`refuses ${what} with a reason`, async () => {
      const refused = answer(model, [text("x"), media(bytes)]);
      const error = await refused.catch((thrown: Error) => thrown);
      expect(error).toBeInstanceOf(InvalidRequestError);
      expect((error as Error).message).toMatch(message);
    });
  }

  test("refuses an image whose head claims more pixels than anybody needs", async () => {
    const huge = Buffer.from(png(red, blue));
    huge.writeUInt32BE(100_000, 16);
    huge.writeUInt32BE(100_000, 20);
    expect(answer(model, [media(huge)])).rejects.toBeInstanceOf(InvalidRequestError);
  });

  test("says by how much images make a prompt too long", async () => {
    const many = Array.from({ length: 40 }, (_, i) => media(png([i, 1, 1], [1, i, 1])));
    const error = await answer(model, [...many, text("x")]).catch((thrown: Error) => thrown);
    expect(error).toBeInstanceOf(ContextOverflowError);
  });
});

describe.skipIf(!haveLibrary)("what a model takes", () => {
  test("a text model refuses images", async () => {
    const model = await load("llama", undefined);
    expect(model.info.inputs).toEqual({ images: false, sound: false });
    const error = await answer(model, [media(png(red, blue))]).catch((thrown: Error) => thrown);
    expect(error).toBeInstanceOf(InvalidRequestError);
    await model[Symbol.asyncDispose]();
  });

  test("a projector for sound hears what is played, and refuses images", async () => {
    const model = await load("llama", "qwen2a");
    expect(model.info.inputs).toEqual({ images: false, sound: true });
    const ask = (bytes: Uint8Array) => likeliest(model, [media(bytes), text("what was it")]);
    const low = await ask(wav(200));
    expect(distance(await ask(wav(200)), low)).toBeLessThan(1e-4);
    expect(distance(await ask(wav(3000)), low)).toBeGreaterThan(1e-3);
    expect(ask(png(red, blue))).rejects.toThrow("takes no images");
    await model[Symbol.asyncDispose]();
  });
});

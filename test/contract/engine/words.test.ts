/** Which tokens write what a constraint asks for: the words of a vocabulary, as its tokenizer cuts texts. */
import { describe, expect, test } from "bun:test";
import { Native } from "../../../ffi/native.ts";
import { testModel } from "../../support/executable.ts";
import { loadSpec, request } from "./cases.ts";
import { haveLibrary, libraryFolderOfTests, nativeEngine, openModel } from "./native.ts";

// Its SentencePiece vocabulary has a token for every byte beside words of one letter, and its tokenizer
// puts a blank in front of a text.
const path = testModel("stories260K-f32.gguf") ?? "";
const byte = 1 << 5; // LLAMA_TOKEN_ATTR_BYTE

describe.skipIf(!haveLibrary || path === "")("what a constraint forces", () => {
  test.each([
    ["only", ["on", "l", "y"]],
    ["a b", ["a", " b"]],
    // There is no word for it.
    ["☃", ["\xe2", "\x98", "\x83"]],
  ])("%p is written in words", async (text, words) => {
    const model = openModel(new Native(libraryFolderOfTests), path, 1);
    const compilation = model.compile("choice", JSON.stringify([text]));
    let constraint = compilation.take();
    while (constraint === undefined) {
      await Bun.sleep(1);
      constraint = compilation.take();
    }
    const { sampling } = request("", {});
    const sampler = model.sampler(sampling);
    try {
      sampler.constrain(constraint);
      const tokens = [...sampler.forced()];
      const pieces = tokens.map((token) => Buffer.from(model.piece(token, false)));
      expect(pieces.map((piece) => piece.toString("latin1"))).toEqual(words);
      const bytes = tokens.filter((token) => (model.attributes(token) & byte) !== 0);
      expect(bytes).toHaveLength(text === "☃" ? 3 : 0);
    } finally {
      sampler.free();
      constraint.free();
      compilation.free();
      model.free();
    }
  });

  test("is as likely as the same text is without a constraint", async () => {
    await using engine = nativeEngine();
    const never = new AbortController().signal;
    const model = await engine.load({ ...loadSpec(path), contextLength: 256 }, never);
    const likely = async (more: Parameters<typeof request>[1]) => {
      const found: [text: string, logprob: number][] = [];
      const wanted = request("Once upon a time", { ...more, logprobs: 0, maxTokens: 6 });
      for await (const event of model.generate(wanted, never)) {
        if (event.type !== "text") continue;
        for (const { token, logprob } of event.logprobs ?? []) found.push([token, logprob]);
      }
      return found;
    };
    const free = await likely({});
    const text = free.map(([token]) => token).join("");
    const kept = await likely({ constraint: { kind: "choice", text: JSON.stringify([text]) } });
    expect(kept.map(([token]) => token)).toEqual(free.map(([token]) => token));
    for (const [i, [, logprob]] of kept.entries()) {
      expect(logprob).toBeCloseTo(free[i]?.[1] ?? 0, 3);
    }
    await model[Symbol.asyncDispose]();
  });
});

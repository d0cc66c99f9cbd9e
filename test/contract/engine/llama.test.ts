/** The contract of engines, kept by the one on libllama; skipped without library or test model. */
import { describe, expect, test } from "bun:test";
import { facts, Native, type NativeModel, StepBuffers } from "../../../ffi/native.ts";
import { Sequences } from "../../../src/engine/runner/sequences.ts";
import type { Active, Slot } from "../../../src/engine/runner/slot.ts";
import { EngineCrashedError } from "../../../src/errors.ts";
import { testModel } from "../../support/executable.ts";
import { engineCases, loadSpec, request } from "./cases.ts";
import { haveLibrary, libraryFolderOfTests, nativeEngine } from "./native.ts";

const model = testModel("stories260K-f32.gguf");
const ready = haveLibrary && model !== undefined;
const never = new AbortController().signal;

/** Tokens of a text by a model, one step for all of them; the logits of the last are ready then. */
function evaluate(model: NativeModel, sequence: number, from: number, tokens: ArrayLike<number>) {
  const step = new StepBuffers(64);
  for (let i = 0; i < tokens.length; i++) {
    step.tokens[i] = tokens[i] ?? 0;
    step.positions[i] = from + i;
    step.sequences[i] = sequence;
    step.wanted[i] = i === tokens.length - 1 ? 1 : 0;
  }
  expect(model.decode(step, tokens.length)).toBe(0);
  return model.logprobs(tokens.length - 1, 0, 3).map(({ token }) => token);
}

describe.skipIf(!ready)("the engine on libllama", () => {
  engineCases(nativeEngine, model ?? "");

  test("gets more slots when they are wanted, and running answers go on unharmed", async () => {
    await using engine = nativeEngine();
    const spec = { ...loadSpec(model ?? ""), slots: 16 };
    const loaded = await engine.load(spec, never);
    const small = loaded.info.memory.total;
    const names = ["Tom", "Lily", "A cat", "The sun", "One day", "In a box", "Mum", "Ben", "Red"];
    const text = async (prompt: string) => {
      let all = "";
      for await (const event of loaded.generate(request(prompt, { maxTokens: 60 }), never)) {
        if (event.type === "text") all += event.text;
      }
      return all;
    };
    const alone: string[] = [];
    for (const name of names) alone.push(await text(name));
    expect(await Promise.all(names.map(text))).toEqual(alone);
    expect(loaded.info.memory.total).toBeGreaterThan(small);
  });

  const load = (slots: number, more: Record<string, number> = {}) => {
    const fixed = { batch: 64, threads: 1, gpu_layers: 0, flash_attention: -1 };
    return new Native(libraryFolderOfTests).load(model ?? "", {
      numbers: { context: 256, slots, ...fixed, ...more },
      cacheType: "f16",
      adapters: [],
      projector: undefined,
    });
  };

  test.skipIf(process.platform !== "linux")(
    "slots that were foreseen are added in place: nothing is moved, nothing is taken",
    () => {
      const [grown, whole] = [
        load(2, { context: 2048, early_slots: 32 }),
        load(32, { context: 2048 }),
      ];
      try {
        const [tokens, next] = ["Once upon a time there was a little", "girl"].map((text) =>
          grown.tokenize(text, true, false),
        );
        if (tokens === undefined || next === undefined) throw new Error("no tokens");
        for (const each of [grown, whole]) {
          evaluate(each, 1, 0, tokens);
          // Cells are copied by the next step only: a context that was made anew would lose them.
          each.copySequence(1, 0);
        }
        const [before, resident] = [grown.fact(facts.memoryTotal), process.memoryUsage.rss()];
        expect(grown.setSlots(32)).toBe(true);
        const cells = grown.fact(facts.memoryTotal) - before;
        expect(grown.fact(facts.memoryTotal)).toBe(whole.fact(facts.memoryTotal));
        expect(grown.fact(facts.slots)).toBe(32);
        for (const sequence of [0, 1, 31]) {
          const from = sequence === 31 ? 0 : tokens.length;
          const wanted = evaluate(whole, sequence, from, next);
          expect(evaluate(grown, sequence, from, next)).toEqual(wanted);
        }
        expect(cells).toBeGreaterThan(32 * 2 ** 20);
        expect(process.memoryUsage.rss() - resident).toBeLessThan(cells / 4);
      } finally {
        grown.free();
        whole.free();
      }
    },
  );

  test("a request gets a slot beside the busy ones, and nothing that others hold is lost", () => {
    const native = load(6, { context: 512 });
    try {
      const sequences = new Sequences(native, {
        most: 6,
        deterministic: false,
        prefixes: undefined,
        promptSpeed: () => 1000,
        borrowed: () => false,
        onGrown: () => {},
      });
      const talks = ["Tom had a dog. ", "Lily saw the sun. ", "Ben was in the park. "].map((text) =>
        native.tokenize(text.repeat(12), true, false),
      );
      const hold = (index: number, tokens: ArrayLike<number>) => {
        for (let at = 0; at < tokens.length; at += 50) {
          evaluate(native, index, at, Array.from(tokens).slice(at, at + 50));
        }
        sequences.slots[index]?.tokens.push(...Array.from(tokens));
      };
      // The busy one is the first; a conversation is beside it, the one that goes on is the last.
      [0, 1, 5].forEach((index, i) => {
        hold(index, talks[i] ?? []);
      });
      const next = (index: number) => {
        const { length } = sequences.slots[index]?.tokens ?? [];
        const found = evaluate(native, index, length, native.tokenize("and", false, false));
        native.remove(index, length, -1);
        return found;
      };
      const [beside, last] = [next(1), next(5)];
      const [first, second] = sequences.slots;
      if (first === undefined || second === undefined) throw new Error("no slots");
      first.active = { promptLeft: 0 } as unknown as Active;
      const place = sequences.place(Int32Array.from([...(talks[2] ?? []), 5, 6]));
      expect(place).toEqual({ slot: second, kept: talks[2]?.length ?? 0 });
      expect([next(1), next(5)]).toEqual([last, beside]);
      expect(sequences.slots[5]?.tokens).toEqual(Array.from(talks[1] ?? []));
      // Another conversation is given a slot of its own, beside the two.
      second.active = first.active;
      const other = sequences.place(native.tokenize("A cat sat on the mat.", true, false));
      expect(other).toEqual({ slot: sequences.slots[2] as Slot, kept: 0 });
    } finally {
      native.free();
    }
  });

  test("what a sequence holds goes on in a context with more slots, and with fewer", () => {
    const [small, large] = [load(2), load(8)];
    try {
      const tokens = small.tokenize("Once upon a time there was a little", true, false);
      evaluate(small, 1, 0, tokens);
      const saved = small.saveSequence(1);
      expect(large.restoreSequence(5, saved)).toBe(true);
      expect(small.setSlots(6)).toBe(true);
      const next = large.tokenize("girl", false, false);
      const wanted = evaluate(large, 5, tokens.length, next);
      expect(evaluate(small, 1, tokens.length, next)).toEqual(wanted);
      const again = load(2);
      expect(again.restoreSequence(0, large.saveSequence(5))).toBe(true);
      again.free();
      expect(large.restoreSequence(6, saved.subarray(0, saved.length >> 1))).toBe(false);
    } finally {
      small.free();
      large.free();
    }
  });

  test("a load that fails says why, and nothing else", async () => {
    await using engine = nativeEngine();
    const wrong = { ...loadSpec(model ?? ""), kvCacheType: "q8_0", inPlace: true };
    await expect(engine.load(wrong, new AbortController().signal)).rejects.toThrow(
      /^unable to create the context: \w+: K cache type q8_0 with block size 32 does not divide n_embd_head_k=8$/,
    );
  });

  test("ends a request with the reason when its process is killed, and loads again", async () => {
    await using engine = nativeEngine();
    const loaded = await engine.load(loadSpec(model ?? ""), never);
    const { pid } = loaded as unknown as { pid: number };
    let killed = false;
    const reading = (async () => {
      for await (const _ of loaded.generate(request("Once", { maxTokens: 5000 }), never)) {
        // Events on their way still come when the process is gone.
        if (!killed) process.kill(pid, "SIGKILL");
        killed = true;
      }
    })();
    expect(reading).rejects.toBeInstanceOf(EngineCrashedError);
    expect(await loaded.ended).toBeInstanceOf(EngineCrashedError);
    expect(await engine.load(loadSpec(model ?? ""), never)).toBeDefined();
  });

  test("keeps conversations that take turns", async () => {
    await using engine = nativeEngine();
    const loaded = await engine.load(
      { ...loadSpec(model ?? ""), contextLength: 512, slots: 4 },
      never,
    );
    const talks = ["A cat sat. ", "The sun rose. ", "One day, a boy ran. "].map((text) =>
      text.repeat(20),
    );
    const evaluated: number[] = [];
    for (let turn = 0; turn < 3; turn++) {
      for (const [i, talk] of talks.entries()) {
        const text = `${talk}And then `;
        talks[i] = text;
        for await (const event of loaded.generate(request(text, { maxTokens: 2 }), never)) {
          if (event.type !== "done" || turn === 0) continue;
          evaluated.push(event.promptTokens - event.cachedTokens);
        }
      }
    }
    // Only what is new, and the tokens that it merges with.
    expect(evaluated).toHaveLength(6);
    expect(Math.max(...evaluated)).toBeLessThan(12);
  });

  test("loads with fewer tokens a step than slots", async () => {
    await using engine = nativeEngine();
    const loaded = await engine.load({ ...loadSpec(model ?? ""), batchSize: 1 }, never);
    const answers = ["A cat", "The sun"].map(async (text) => {
      let last: unknown;
      for await (const event of loaded.generate(request(text), never)) last = event;
      return last;
    });
    expect(await Promise.all(answers)).toMatchObject([{ evalTokens: 16 }, { evalTokens: 16 }]);
  });
});

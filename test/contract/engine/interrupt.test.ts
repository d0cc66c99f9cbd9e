/** Steps that end early because the parent has something to say: nothing is lost, and there is progress. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { facts, Native, type NativeModel, StepBuffers, status } from "../../../ffi/native.ts";
import type { LoadSpec } from "../../../src/engine/engine.ts";
import type { Report } from "../../../src/engine/protocol.ts";
import { EmbedQueue } from "../../../src/engine/runner/embed.ts";
import { Runner } from "../../../src/engine/runner/runner.ts";
import { NativeVocabulary } from "../../../src/engine/runner/vocabulary.ts";
import { testModel } from "../../support/executable.ts";
import { tinyEncoder } from "../../support/tiny-models.ts";
import { loadSpec, request } from "./cases.ts";
import { haveLibrary, libraryFolderOfTests, openModel } from "./native.ts";

const path = testModel("stories260K-f32.gguf") ?? "";
const ready = haveLibrary && path !== "" && process.platform !== "win32";
const sentence = "Once upon a time there was a little girl who had a red ball and a big dog. ";

/** Two sequences' tokens as one step; the last row of each is wanted. */
function fill(step: StepBuffers, texts: readonly Int32Array[], from: number): number {
  let rows = 0;
  for (const [sequence, tokens] of texts.entries()) {
    for (const [i, token] of tokens.entries()) {
      step.tokens[rows] = token;
      step.positions[rows] = from + i;
      step.sequences[rows] = sequence;
      step.wanted[rows++] = i === tokens.length - 1 ? 1 : 0;
    }
  }
  return rows;
}

/** Keeps what a model's steps result in; with a signal before each when they are to be disturbed. */
function watch(model: NativeModel, disturb: boolean): { results: number[]; leave(): void } {
  const results: number[] = [];
  const decode = model.decode.bind(model);
  model.decode = (...given) => {
    if (disturb) process.kill(process.pid, "SIGUSR2");
    const result = decode(...given);
    results.push(result);
    return result;
  };
  const leave = () => {
    model.decode = decode;
  };
  return { results, leave };
}

describe.skipIf(!ready)("a step that is interrupted", () => {
  test("changes nothing, and is made again as if it had not been", () => {
    const native = new Native(libraryFolderOfTests);
    expect(native.listenToInterrupts(0)).toBe(true);
    const [model, undisturbed] = [openModel(native, path, 2), openModel(native, path, 2)];
    try {
      const step = new StepBuffers(64);
      const texts = ["A little cat sat down", "The big dog ran"].map((text) =>
        model.tokenize(text, true, false),
      );
      const rows = fill(step, texts, 0);
      const likeliest = (of: NativeModel) => of.logprobs(rows - 1, 0, 5);
      process.kill(process.pid, "SIGUSR2");
      expect(model.decode(step, rows, true)).toBe(status.interrupted);
      expect([model.saveSequence(0), model.saveSequence(1)]).toEqual([
        undisturbed.saveSequence(0),
        undisturbed.saveSequence(1),
      ]);
      expect(model.decode(step, rows, true)).toBe(status.ok);
      expect(undisturbed.decode(step, rows)).toBe(status.ok);
      expect(likeliest(model)).toEqual(likeliest(undisturbed));
    } finally {
      model.free();
      undisturbed.free();
    }
  });

  test("is one that may be, and a signal is forgotten with the step", () => {
    const native = new Native(libraryFolderOfTests);
    native.listenToInterrupts(0);
    const model = openModel(native, path, 1);
    try {
      const step = new StepBuffers(64);
      const rows = fill(step, [model.tokenize("A little cat", true, false)], 0);
      process.kill(process.pid, "SIGUSR2");
      expect(model.decode(step, rows)).toBe(status.ok);
      model.remove(0, -1, -1);
      expect(model.decode(step, rows, true)).toBe(status.ok);
      // One that ends before the time of grace is over is let be.
      native.listenToInterrupts(60_000);
      model.remove(0, -1, -1);
      process.kill(process.pid, "SIGUSR2");
      expect(model.decode(step, rows, true)).toBe(status.ok);
    } finally {
      model.free();
    }
  });

  test("goes on however often others come, with the same answers", async () => {
    const native = new Native(libraryFolderOfTests);
    native.listenToInterrupts(0);
    const spec: LoadSpec = { ...loadSpec(path), contextLength: 512, batchSize: 64 };
    const answers = async (disturb: boolean) => {
      const model = openModel(native, path, spec.slots);
      const { results } = watch(model, disturb);
      const texts = new Map<number, string>();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      let running = 2;
      const send = (report: Report) => {
        if (report.type === "error") reject(new Error(report.error.message));
        if (report.type !== "events") return;
        for (const [id, event] of report.events) {
          if (event.type === "text") texts.set(id, (texts.get(id) ?? "") + event.text);
          if (event.type === "done" && --running === 0) resolve();
        }
      };
      const runner = new Runner(model, new NativeVocabulary(model), spec, 1e6, send);
      runner.generate(1, request(sentence.repeat(9), { maxTokens: 20 }));
      runner.generate(2, request(`The sun. ${sentence.repeat(8)}`, { maxTokens: 20 }));
      await promise;
      model.free();
      return { texts: Object.fromEntries(texts), results };
    };
    const calm = await answers(false);
    const disturbed = await answers(true);
    expect(disturbed.texts).toEqual(calm.texts);
    expect(calm.results).not.toContain(status.interrupted);
    const interrupted = disturbed.results.filter((result) => result === status.interrupted);
    expect(interrupted.length).toBeGreaterThan(2);
    for (const [i, result] of disturbed.results.entries()) {
      if (result === status.interrupted) expect(disturbed.results[i + 1]).toBe(status.ok);
    }
  });

  test("of a text that must be read in one piece leaves others the turn, and does not end early again", () => {
    const native = new Native(libraryFolderOfTests);
    native.listenToInterrupts(0);
    const folder = mkdtempSync(join(tmpdir(), "hutch-test-"));
    const encoder = join(folder, "encoder.gguf");
    writeFileSync(encoder, tinyEncoder({ pooling: 1 }));
    const model = openModel(native, encoder, 1);
    try {
      const step = new StepBuffers(model.fact(facts.batch));
      const embed = { normalize: true, limit: 512, truncate: true };
      const read = (disturb: boolean) => {
        const queue = new EmbedQueue(model, step, {
          firstSpeed: 1,
          deterministic: false,
          ready: () => {},
        });
        const { results, leave } = watch(model, disturb);
        queue.add({ id: 1, texts: ["a b c d ".repeat(60), "e f"], options: embed });
        queue.add({ id: 2, texts: ["g h"], options: embed });
        const vectors: Record<number, Float32Array> = {};
        const order: number[] = [];
        while (!queue.empty) {
          for (const result of queue.turn([0], false, () => {})) {
            if ("error" in result) throw result.error;
            order.push(result.id);
            vectors[result.id] = result.vectors;
          }
        }
        leave();
        return { vectors, order, results };
      };
      const calm = read(false);
      const disturbed = read(true);
      expect(calm.results).toEqual([status.ok, status.ok, status.ok]);
      expect(disturbed.results).toEqual([status.interrupted, status.ok, status.ok, status.ok]);
      expect(disturbed.vectors).toEqual(calm.vectors);
      expect([calm.order, disturbed.order]).toEqual([
        [2, 1],
        [2, 1],
      ]);
    } finally {
      model.free();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** `/api/embed` and `/api/embeddings` on a scripted engine (api.md 8). */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { EngineCrashedError, EngineError } from "../../src/errors.ts";
import { type Application, masked, openApplication } from "../support/application.ts";

let application: Application;
beforeEach(async () => {
  application = openApplication();
  await application.create("m");
});
afterEach(() => application[Symbol.asyncDispose]());

const embed = (fields: Record<string, unknown>) =>
  application.post("/api/embed", { model: "m", ...fields });
const old = (fields: Record<string, unknown>) =>
  application.post("/api/embeddings", { model: "m", ...fields });

describe("/api/embed", () => {
  test("gives a vector for each text, in their order, and counts the tokens of all", async () => {
    const { status, body } = await embed({ input: ["abc", "de"] });
    expect(status).toBe(200);
    expect(JSON.stringify(masked(body))).toBe(
      JSON.stringify({
        model: "m",
        embeddings: [
          [0.5, 0.5, 0.5, 3],
          [0.5, 0.5, 0.5, 2],
        ],
        total_duration: "duration",
        load_duration: "duration",
        prompt_eval_count: 5,
      }),
    );
  });

  test("a name that is none is told before a wrong input", async () => {
    const { status, body } = await embed({ model: "a b", input: 1 });
    expect({ status, body }).toEqual({ status: 400, body: { error: "invalid model name" } });
  });

  test("prints numbers as 32-bit floats", async () => {
    application.engine.vector = [0.1, -2e-8, 1 / 3, 0];
    const { body } = await embed({ input: "a" });
    expect(body).toMatchObject({ embeddings: [[0.1, -2e-8, 0.33333334, 0]] });
  });

  test("cuts to the dimensions asked for, and makes that a unit again", async () => {
    application.engine.vector = [0.6, 0.8, 0, 0];
    for (const [dimensions, vector] of [
      [1, [1]],
      [2, [0.6, 0.8]],
      [4, [0.6, 0.8, 0, 0]],
      [9, [0.6, 0.8, 0, 0]],
      [0, [0.6, 0.8, 0, 0]],
      [-1, [0.6, 0.8, 0, 0]],
    ] as const) {
      const { body } = await embed({ input: "a", dimensions });
      expect(body).toMatchObject({ embeddings: [vector] });
    }
  });

  test("cuts long texts unless it must not", async () => {
    const input = "x".repeat(3000);
    const { body } = await embed({ input, options: { num_ctx: 10 } });
    expect(body).toMatchObject({ prompt_eval_count: 8 });
    expect(await embed({ input, truncate: false })).toEqual({
      status: 400,
      body: { error: "the input length exceeds the context length" },
    });
    expect(await embed({ input: ["a", input], truncate: false })).toMatchObject({ status: 400 });
  });

  test("loads and answers without texts", async () => {
    for (const input of [undefined, null, "", []]) {
      expect(await embed({ input })).toEqual({
        status: 200,
        body: { model: "m", embeddings: [] },
      });
    }
    expect(application.engine.loads).toHaveLength(1);
  });

  test("refuses other inputs before it looks for the model", async () => {
    for (const input of [7, true, {}, ["a", 7], [["a"]]]) {
      expect(await application.post("/api/embed", { model: "none", input })).toEqual({
        status: 400,
        body: { error: "invalid input type" },
      });
    }
  });

  test("answers what the engine refuses with 400, and a crash with 500", async () => {
    const failure = "embedding contains NaN or Inf values";
    application.engine.embedFailure = new EngineError(failure);
    expect(await embed({ input: "a" })).toEqual({ status: 400, body: { error: failure } });
    application.engine.embedFailure = new EngineCrashedError("gone");
    expect(await embed({ input: "a" })).toMatchObject({ status: 500 });
  });
});

describe("/api/embeddings", () => {
  test("gives one vector, its numbers as they are, and nothing else", async () => {
    application.engine.vector = [0.1, 0.2, 1 / 3, 0];
    const { body } = await old({ prompt: "abc" });
    expect(body).toEqual({ embedding: [0.1, 0.2, 1 / 3, 0].map(Math.fround) });
  });

  test("gives none without a prompt", async () => {
    for (const prompt of [undefined, null, ""]) {
      expect(await old({ prompt })).toEqual({ status: 200, body: { embedding: [] } });
    }
  });

  test("fails with 500, also for texts that are too long", async () => {
    expect(await old({ prompt: "x".repeat(3000) })).toEqual({
      status: 500,
      body: { error: "the input length exceeds the context length" },
    });
  });
});

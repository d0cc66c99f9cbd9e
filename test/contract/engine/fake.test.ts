/** The contract of engines, kept by the fake one. */
import { describe, expect, test } from "bun:test";
import { FakeEngine } from "../../../src/engine/fake.ts";
import { EngineCrashedError } from "../../../src/errors.ts";
import { engineCases, loadSpec, request } from "./cases.ts";

const never = new AbortController().signal;

describe("the fake engine", () => {
  engineCases(() => new FakeEngine({ tokenDelay: 1 }), import.meta.path);

  test("crashes when asked to, and loads again", async () => {
    const engine = new FakeEngine({ crashAfter: 3 });
    const model = await engine.load(loadSpec(import.meta.path), never);
    const reading = (async () => {
      for await (const _ of model.generate(request("a b c"), never));
    })();
    expect(reading).rejects.toBeInstanceOf(EngineCrashedError);
    expect(await model.ended).toBeInstanceOf(EngineCrashedError);
    expect(await engine.load(loadSpec(import.meta.path), never)).toBeDefined();
  });
});

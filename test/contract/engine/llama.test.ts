/** The contract of engines, kept by the one on libllama; skipped without library or test model. */
import { describe, expect, test } from "bun:test";
import { EngineCrashedError } from "../../../src/errors.ts";
import { testModel } from "../../support/executable.ts";
import { engineCases, loadSpec, request } from "./cases.ts";
import { haveLibrary, nativeEngine } from "./native.ts";

const model = testModel("stories260K-f32.gguf");
const ready = haveLibrary && model !== undefined;
const never = new AbortController().signal;

describe.skipIf(!ready)("the engine on libllama", () => {
  engineCases(nativeEngine, model ?? "");

  test("ends a request with the reason when its process is killed, and loads again", async () => {
    await using engine = nativeEngine();
    const loaded = await engine.load(loadSpec(model ?? ""), never);
    const { pid } = loaded as unknown as { pid: number };
    const reading = (async () => {
      for await (const _ of loaded.generate(request("Once", { maxTokens: 5000 }), never)) {
        process.kill(pid, "SIGKILL");
      }
    })();
    expect(reading).rejects.toBeInstanceOf(EngineCrashedError);
    expect(await loaded.ended).toBeInstanceOf(EngineCrashedError);
    expect(await engine.load(loadSpec(model ?? ""), never)).toBeDefined();
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

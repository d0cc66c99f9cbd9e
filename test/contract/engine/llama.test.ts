/** The contract of engines, kept by the one on libllama; skipped without library or test model. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { libraryName } from "../../../ffi/library.ts";
import { ProcessEngine } from "../../../src/engine/process.ts";
import { EngineCrashedError } from "../../../src/errors.ts";
import { silentLogger } from "../../../src/logger.ts";
import { testModel } from "../../support/executable.ts";
import { engineCases, loadSpec, request } from "./cases.ts";

const root = resolve(import.meta.dir, "../../..");
const library = join(root, "dist/lib");
const model = testModel("stories260K-f32.gguf");
const ready = existsSync(join(library, libraryName)) && model !== undefined;
const never = new AbortController().signal;

function create(): ProcessEngine {
  return new ProcessEngine({
    command: [process.execPath, join(root, "src/main.ts"), "runner"],
    env: process.env,
    libraries: { cacheFolder: undefined, tempFolder: tmpdir(), libraryFolder: library },
    logger: silentLogger,
    checkMessages: true,
  });
}

describe.skipIf(!ready)("the engine on libllama", () => {
  engineCases(create, model ?? "");

  test("ends a request with the reason when its process is killed, and loads again", async () => {
    await using engine = create();
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
});

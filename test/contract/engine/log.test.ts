/** What llama.cpp logs is kept for who asks; skipped without library. */
import { expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { haveLibrary, libraryFolderOfTests } from "./native.ts";

const native = resolve(import.meta.dir, "../../../ffi/native.ts");

/** A process that fails to load a model, and prints what was logged. */
const script = `
  import { Native } from ${JSON.stringify(native)};
  const engine = new Native(${JSON.stringify(libraryFolderOfTests)});
  const numbers = { gpu_layers: 0 };
  try {
    engine.load(${JSON.stringify(join(import.meta.dir, "log.test.ts"))}, { numbers, cacheType: "f16", adapters: [], projector: undefined });
  } catch {
    process.stdout.write(engine.drainLog());
  }
`;

test.skipIf(!haveLibrary)("an error that the process outlives is no last word of it", () => {
  const { stdout, stderr } = Bun.spawnSync([process.execPath, "-e", script]);
  expect(stdout.toString()).toContain("failed to load model");
  expect(stderr.toString()).toBe("");
});

/** The memory that is foretold is the memory that is taken: the bill against libllama's own account. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { LoadedModel } from "../../../src/engine/engine.ts";
import { readFacts } from "../../../src/model/gguf/facts.ts";
import { memoryBill } from "../../../src/model/memory-bill.ts";
import { testModel } from "../../support/executable.ts";
import { tinyDecoder, tinyEncoder, tinyProjector } from "../../support/tiny-models.ts";
import { loadSpec, request } from "./cases.ts";
import { haveLibrary, nativeEngine } from "./native.ts";

const never = new AbortController().signal;
const folder = mkdtempSync(join(tmpdir(), "hutch-memory-"));
afterAll(() => rmSync(folder, { recursive: true }));

const guide = resolve(import.meta.dir, "../../../assets/guide/guide.gguf");
const stories = testModel("stories260K-f32.gguf");
const talk = testModel("tinytalk-3m-q4_0.gguf");

const models: [name: string, path: string | undefined][] = [
  ["stories260K", stories],
  ["tinytalk", talk],
  ["guide", existsSync(guide) ? guide : undefined],
];

/** As many answers at once as there are slots, so that there are all of them. */
async function fill(loaded: LoadedModel, slots: number): Promise<void> {
  const drain = async () => {
    for await (const _ of loaded.generate(request("hello"), never)) {
      // only that it runs matters
    }
  };
  await Promise.all(Array.from({ length: slots }, drain));
}

/** What was foretold over what was taken. */
async function ratio(path: string, terms: Partial<ReturnType<typeof loadSpec>>): Promise<number> {
  await using engine = nativeEngine();
  const spec = { ...loadSpec(path), ...terms };
  const loaded = await engine.load(spec, never);
  const files = {
    model: readFacts(path).facts,
    adapters: [],
    projectors: spec.projectors.map((p) => readFacts(p).facts),
    draft: spec.draft === undefined ? undefined : readFacts(spec.draft).facts,
  };
  if (!files.model.pooled) await fill(loaded, spec.slots);
  return memoryBill(files, spec).held / loaded.info.memory.total;
}

function expectNear(found: number): void {
  expect(found).toBeGreaterThan(0.9);
  expect(found).toBeLessThan(1.1);
}

describe.skipIf(!haveLibrary)("the memory bill", () => {
  for (const [name, path] of models) {
    for (const terms of [
      { contextLength: 512, slots: 1, batchSize: 512 },
      { contextLength: 2048, slots: 4, batchSize: 512 },
      { contextLength: 1000, slots: 4, batchSize: 128 },
      { contextLength: 300, slots: 2, batchSize: 64 },
      { contextLength: 100, slots: 1, batchSize: 512 },
      // Little besides weights, some of which backends pack anew.
      { contextLength: 256, slots: 1, batchSize: 4 },
    ]) {
      test.skipIf(path === undefined)(
        `is within 10 % of what ${name} takes with ${JSON.stringify(terms)}`,
        async () => expectNear(await ratio(path ?? "", terms)),
      );
    }
  }

  test.skipIf(stories === undefined)("knows what slots take that were set aside", async () => {
    for (const slots of [2, 5, 32]) {
      const terms = { contextLength: 512, slots, batchSize: 128, inPlace: true };
      expectNear(await ratio(stories ?? "", terms));
    }
  });

  test.skipIf(process.platform !== "linux" || stories === undefined)(
    "holds where the system refuses slots: there are fewer of them, and never a second context",
    async () => {
      const path = stories ?? "";
      // 640 MiB of cells. The runtime takes most of what there is for itself, up to a power of two.
      const terms = { contextLength: 16_384, batchSize: 64, kvCacheType: "f32", slots: 32 };
      await using engine = nativeEngine("prlimit", "--as=3000000000");
      const loaded = await engine.load({ ...loadSpec(path), ...terms, inPlace: true }, never);
      await fill(loaded, 40);
      const files = { model: readFacts(path).facts, adapters: [], projectors: [] };
      const { slots } = loaded.info;
      expect(slots).toBeWithin(1, 32);
      expectNear(memoryBill(files, { ...terms, slots }).held / loaded.info.memory.total);
    },
  );

  const [, guideFile] = models[2] ?? [];
  for (const kvCacheType of ["q8_0", "q4_0"]) {
    test.skipIf(guideFile === undefined)(`knows what a cache of ${kvCacheType} takes`, async () =>
      expectNear(await ratio(guideFile ?? "", { contextLength: 2048, slots: 4, kvCacheType })),
    );
  }

  test.skipIf(guideFile === undefined)("counts a draft model and its context", async () => {
    for (const terms of [
      { contextLength: 2048, slots: 1, batchSize: 512 },
      { contextLength: 1000, slots: 4, batchSize: 64 },
    ]) {
      const path = guideFile ?? "";
      expectNear(await ratio(path, { ...terms, draft: path }));
      expectNear(await ratio(path, { ...terms, draft: path, deterministic: true }));
    }
  });

  test("knows that some projectors' images want large steps", async () => {
    const [model, projector] = [join(folder, "seeing.gguf"), join(folder, "eye.gguf")];
    for (const kind of ["mlp", "gemma3"] as const) {
      await Bun.write(model, tinyDecoder(kind === "gemma3" ? "gemma3" : "llama"));
      await Bun.write(projector, tinyProjector(kind));
      const terms = { contextLength: 2048, slots: 1, batchSize: 512, projectors: [projector] };
      expectNear(await ratio(model, terms));
    }
  });

  test("is within 10 % of what embedding models take", async () => {
    const found: Record<string, number> = {};
    const files = { encoder: tinyEncoder(), decoder: tinyDecoder("llama", { pooling: 3 }) };
    for (const [name, bytes] of Object.entries(files)) {
      const path = join(folder, `${name}.gguf`);
      await Bun.write(path, bytes);
      for (const [contextLength, batchSize] of [
        [512, 512],
        [128, 512],
        [512, 128],
      ] as const) {
        const terms = { slots: 1, contextLength, batchSize };
        found[`${name} ${contextLength} ${batchSize}`] = await ratio(path, terms);
      }
    }
    expect(Object.entries(found).filter(([, each]) => each < 0.9 || each > 1.1)).toEqual([]);
  });
});

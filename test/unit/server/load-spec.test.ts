/** How a model is loaded for a request: options over variables over the file's facts (scheduler.md 5, 6). */
import { describe, expect, test } from "bun:test";
import { availableParallelism } from "node:os";
import { readConfig } from "../../../src/config/env.ts";
import { ModelLoadError } from "../../../src/errors.ts";
import type { StoredModel } from "../../../src/model/model.ts";
import { resolveOptions } from "../../../src/model/options.ts";
import { wantedLoad } from "../../../src/server/inference/load-spec.ts";

/** The parts of a stored model that loading reads. */
function model(facts: Record<string, unknown> = {}): StoredModel {
  const gguf = {
    contextLength: 8192,
    kvBytesPerToken: 1,
    vocabularySize: 100,
    embeddingLength: 10,
    tensorBytes: 1000,
    causal: true,
    pooled: false,
    vision: false,
    ...facts,
  };
  return {
    ggufPath: "/blobs/a",
    adapterPaths: ["/blobs/lora"],
    projectorPaths: [],
    projectorFacts: [],
    adapterFacts: [gguf],
    gguf: { facts: gguf },
    config: { model_format: "gguf" },
    shortName: "a:latest",
  } as unknown as StoredModel;
}

function load(options: Record<string, unknown> = {}, env: Record<string, string> = {}, facts = {}) {
  const { spec, explicit } = wantedLoad(
    model(facts),
    resolveOptions({}, options),
    readConfig({ HOME: "/home/x", ...env }),
  );
  return { ...spec, explicit: [...explicit] };
}

/** Where cells of the cache take memory only when they are written. */
const inPlace = process.platform === "linux" ? { inPlace: true } : {};

describe("a load", () => {
  test("has defaults for everything, none of them chosen by the user", () => {
    expect<unknown>(load()).toEqual({
      path: "/blobs/a",
      adapters: [{ path: "/blobs/lora", scale: 1 }],
      projectors: [],
      contextLength: 4096,
      slots: 32,
      batchSize: 512,
      threads: 0,
      gpuLayers: -1,
      kvCacheType: "f16",
      flashAttention: "auto",
      ...inPlace,
      explicit: [],
    });
  });

  test("follows the request's options, and knows that they were chosen", () => {
    const options = { num_ctx: 100, num_batch: 64, num_gpu: 3, num_thread: 1, main_gpu: 1 };
    expect<unknown>(load({ ...options, use_mmap: false })).toMatchObject({
      contextLength: 100,
      batchSize: 64,
      gpuLayers: 3,
      threads: 1,
      mainGpu: 1,
      mmap: false,
      explicit: ["contextLength", "batchSize", "gpuLayers", "threads", "mainGpu", "mmap"],
    });
  });

  test("has no more threads than the machine runs at once", () => {
    expect(load({ num_thread: 4096 }).threads).toBe(availableParallelism());
    expect(load({ num_thread: -1 }).threads).toBe(0);
  });

  test("follows the variables", () => {
    const env = {
      OLLAMA_CONTEXT_LENGTH: "2000",
      OLLAMA_NUM_PARALLEL: "2",
      OLLAMA_KV_CACHE_TYPE: "Q8_0",
      OLLAMA_FLASH_ATTENTION: "0",
    };
    expect<unknown>(load({}, env)).toMatchObject({
      contextLength: 2000,
      slots: 2,
      kvCacheType: "q8_0",
      flashAttention: "off",
      explicit: ["slots"],
    });
  });

  test("has at least 4 tokens of context, 2048 for models that see, at most what was trained", () => {
    const context = (num_ctx: number, facts = {}) => load({ num_ctx }, {}, facts).contextLength;
    expect(context(1)).toBe(4);
    expect(context(100, { vision: true })).toBe(2048);
    expect(context(1_000_000)).toBe(8192);
    expect(context(1_000_000, { contextLength: 0 })).toBe(1_000_000);
  });

  test("has fewer slots when their caches would fill the memory, and one for embedding models", () => {
    expect(load({}, {}, { kvBytesPerToken: 2 ** 40 }).slots).toBe(1);
    expect(load({}, { OLLAMA_NUM_PARALLEL: "8" }, { pooled: true }).slots).toBe(1);
    expect(load({}, {}, { pooled: true }).batchSize).toBe(2048);
  });

  test("has as many slots as half of the promised memory holds, or a few in all of it", () => {
    const slots = (HUTCH_MEMORY: string) =>
      load({}, { HUTCH_MEMORY }, { kvBytesPerToken: 4096 }).slots;
    // 16 MiB of cache a slot, 4 MiB of buffers.
    expect(slots("8G")).toBe(32);
    if (process.platform === "linux") {
      expect(slots("512M")).toBe(15);
      expect(slots("100M")).toBe(4);
      expect(slots("60M")).toBe(3);
    } else {
      // And the half of it again while slots are added.
      expect(slots("512M")).toBeWithin(8, 12);
      expect(slots("60M")).toBe(2);
    }
    expect(slots("1M")).toBe(1);
  });

  test("of something that is no GGUF is refused", () => {
    const other = { ...model(), ggufPath: undefined };
    const config = readConfig({ HOME: "/home/x" });
    expect(() => wantedLoad(other, resolveOptions({}, {}), config)).toThrow(ModelLoadError);
  });
});

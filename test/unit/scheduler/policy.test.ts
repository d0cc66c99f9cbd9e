/** The scheduler's decisions: who serves whom, what a reload looks like, who leaves, when time is up. */
import { describe, expect, test } from "bun:test";
import type { LoadSpec } from "../../../src/engine/engine.ts";
import {
  chooseVictim,
  expiry,
  maxLoadedModels,
  reloadSpec,
  serves,
} from "../../../src/scheduler/policy.ts";

const spec: LoadSpec = {
  path: "/models/a",
  adapters: [],
  projectors: [],
  contextLength: 4096,
  slots: 4,
  batchSize: 512,
  threads: 2,
  gpuLayers: -1,
  kvCacheType: "f16",
  flashAttention: "auto",
};
const chosen = (...keys: (keyof LoadSpec)[]) => new Set(keys);
const minute = 60_000_000_000n;

describe("serves", () => {
  test("a request that chooses nothing is served whatever the model was loaded with", () => {
    const wanted = { ...spec, contextLength: 8192, batchSize: 64, threads: 9, gpuLayers: 0 };
    expect(serves(spec, wanted, chosen())).toBe(true);
  });
  test("a chosen context is served by an equal or larger one only", () => {
    const at = (contextLength: number) =>
      serves(spec, { ...spec, contextLength }, chosen("contextLength"));
    expect([at(128), at(4096), at(4097)]).toEqual([true, true, false]);
  });
  test.each([
    ["batchSize", 256],
    ["threads", 1],
    ["gpuLayers", 0],
    ["mainGpu", 1],
    ["mmap", false],
  ] as const)("a chosen %s must be the loaded one", (key, value) => {
    expect(serves(spec, { ...spec, [key]: value }, chosen(key))).toBe(false);
    expect(serves({ ...spec, [key]: value }, { ...spec, [key]: value }, chosen(key))).toBe(true);
  });
  test("other adapters or projectors are another model", () => {
    const adapters = [{ path: "/lora", scale: 1 }];
    expect(serves(spec, { ...spec, adapters }, chosen())).toBe(false);
    expect(serves({ ...spec, adapters }, { ...spec, adapters }, chosen())).toBe(true);
    expect(serves({ ...spec, adapters }, spec, chosen())).toBe(false);
    expect(
      serves({ ...spec, adapters }, { ...spec, adapters: [{ path: "/lora", scale: 2 }] }, chosen()),
    ).toBe(false);
    expect(serves(spec, { ...spec, projectors: ["/eye"] }, chosen())).toBe(false);
  });
});

describe("reloadSpec", () => {
  test("keeps what the request did not choose and the larger context", () => {
    const loaded = { ...spec, contextLength: 8192, threads: 1, mmap: false };
    const wanted = { ...spec, contextLength: 2048, gpuLayers: 0, projectors: ["/eye"] };
    expect(reloadSpec(loaded, wanted, chosen("gpuLayers"))).toEqual({
      ...spec,
      contextLength: 8192,
      threads: 1,
      mmap: false,
      gpuLayers: 0,
      projectors: ["/eye"],
    });
  });
  test("takes every chosen value", () => {
    const wanted = { ...spec, batchSize: 1, threads: 1, gpuLayers: 1, mainGpu: 1, mmap: true };
    expect(
      reloadSpec(
        { ...spec, mainGpu: 0, mmap: false },
        wanted,
        chosen("batchSize", "threads", "gpuLayers", "mainGpu", "mmap"),
      ),
    ).toEqual(wanted);
  });
  test("ends in a load that serves both wishes in turn", () => {
    const large = { ...spec, contextLength: 8192 };
    const small = { ...spec, contextLength: 2048 };
    const loaded = reloadSpec(small, large, chosen("contextLength"));
    expect(serves(loaded, large, chosen("contextLength"))).toBe(true);
    expect(serves(loaded, small, chosen("contextLength"))).toBe(true);
  });
});

describe("chooseVictim", () => {
  const state = (path: string, keepAliveNs: bigint, leases = 0) => ({ path, keepAliveNs, leases });

  test("is the idle model with the shortest keep-alive", () => {
    const loaded = [state("a", 10n * minute), state("b", minute), state("c", -1n)];
    expect(chooseVictim(loaded)?.path).toBe("b");
  });
  test("prefers an idle model that stays for ever to a busy one", () => {
    expect(chooseVictim([state("a", 0n, 1), state("b", -1n)])?.path).toBe("b");
  });
  test("among busy ones takes the shortest keep-alive, then the path", () => {
    expect(chooseVictim([state("b", minute, 1), state("a", minute, 2)])?.path).toBe("a");
    expect(chooseVictim([state("a", minute, 1), state("b", 1n, 2)])?.path).toBe("b");
  });
  test("is nobody when nothing is loaded", () => {
    expect(chooseVictim([])).toBeUndefined();
  });
});

describe("expiry", () => {
  test("adds the keep-alive to the moment of rest", () => {
    expect(expiry(1000, 0n)).toBe(1000);
    expect(expiry(1000, 1_500_000n)).toBe(1001.5);
    expect(expiry(1000, 5n * minute)).toBe(301_000);
  });
  test("is never for negative values and for Go's longest duration", () => {
    expect(expiry(1000, -1n)).toBe(Number.POSITIVE_INFINITY);
    expect(expiry(1000, 2n ** 63n - 1n)).toBe(Number.POSITIVE_INFINITY);
  });
});

test("three models may be loaded when nothing is configured", () => {
  expect([maxLoadedModels(0), maxLoadedModels(1), maxLoadedModels(9)]).toEqual([3, 1, 9]);
});

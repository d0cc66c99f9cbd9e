/** A child that stalls, ends or talks nonsense costs its own requests, and nothing waits for ever. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Child } from "../../../src/engine/child.ts";
import type { LoadSpec } from "../../../src/engine/engine.ts";
import { ProcessEngine } from "../../../src/engine/process.ts";
import { EngineCrashedError, NotBegunError } from "../../../src/errors.ts";
import { silentLogger } from "../../../src/logger.ts";
import { kindsOfGarbage } from "../../support/strange-runner.ts";
import { until } from "../../support/until.ts";
import { loadSpec, request } from "./cases.ts";

const script = resolve(import.meta.dir, "../../support/strange-runner.ts");
const never = new AbortController().signal;

interface Terms {
  stallMs?: number;
  loadStallMs?: number;
  libraryFolder?: string;
}

function create(how: readonly string[], limits: Terms = {}) {
  return new ProcessEngine({
    command: [process.execPath, script, ...how],
    env: process.env,
    libraries: { cacheFolder: undefined, tempFolder: "/tmp", libraryFolder: limits.libraryFolder },
    prefixCache: undefined,
    stallMs: limits.stallMs ?? 0,
    loadStallMs: limits.loadStallMs ?? 0,
    logger: silentLogger,
  });
}

async function failure(engine: ProcessEngine): Promise<unknown> {
  const model = await engine.load(loadSpec("/no/file"), never);
  try {
    for await (const _ of model.generate(request("x"), never));
  } catch (error) {
    return error;
  }
  return undefined;
}

test("a silent child with work is replaced, and its request ends with the reason", async () => {
  await using engine = create(["silent"], { stallMs: 200 });
  const error = await failure(engine);
  expect(error).toBeInstanceOf(EngineCrashedError);
  expect(String(error)).toMatch(/no progress for \d+ s with 1 running requests/);
  expect(await engine.load(loadSpec("/no/file"), never)).toBeDefined();
});

test("a child that never says that it is ready fails the load", async () => {
  await using engine = create(["deaf"], { loadStallMs: 300 });
  await expect(engine.load(loadSpec("/no/file"), never)).rejects.toThrow(
    "timed out waiting for the model to load",
  );
});

describe("a child that a GPU ends while it loads", () => {
  const [withGpu, without] = [
    mkdtempSync(join(tmpdir(), "gpu-")),
    mkdtempSync(join(tmpdir(), "cpu-")),
  ];
  writeFileSync(join(withGpu, "libggml-cuda.so"), "");
  afterAll(() => {
    for (const folder of [withGpu, without]) rmSync(folder, { recursive: true });
  });

  const load = async (terms: Partial<LoadSpec>, limits: Terms = {}, how = "gpu") => {
    await using engine = create([how], { libraryFolder: withGpu, ...limits });
    return (await engine.load({ ...loadSpec("/no/file"), ...terms }, never)).info;
  };

  test("is replaced by one without a GPU, and the reason is told", async () => {
    const { gpuProblem } = await load({ gpuLayers: -1 });
    expect(gpuProblem).toContain("signal SIGABRT: CUDA error: out of memory");
  });

  test("fails the load where a GPU was asked for, or where there is none", async () => {
    await expect(load({ gpuLayers: 2 })).rejects.toThrow("CUDA error");
    await expect(load({ gpuLayers: -1, inPlace: true })).rejects.toThrow("CUDA error");
    const terms = { libraryFolder: without };
    await expect(load({ gpuLayers: -1 }, terms)).rejects.toThrow("CUDA error");
  });

  test("is not replaced when it was too slow", async () => {
    const loading = load({ gpuLayers: -1 }, { loadStallMs: 300 }, "gpu-deaf");
    await expect(loading).rejects.toThrow("timed out waiting for the model to load");
  });
});

describe("while the last words of a child are waited for", () => {
  const ending = async (engine: ProcessEngine) => {
    const model = (await engine.load(loadSpec("/no/file"), never)) as Child;
    const outcome = async (): Promise<unknown> => {
      try {
        for await (const _ of model.generate(request("x"), never));
      } catch (error) {
        return error;
      }
      return undefined;
    };
    const running = outcome();
    await until("the child has ended", () => !alive(model.pid));
    return { model, running, outcome };
  };
  const alive = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  test("a request that comes has not begun, the one before it has", async () => {
    await using engine = create(["linger"]);
    const { running, outcome } = await ending(engine);
    expect(await outcome()).toBeInstanceOf(NotBegunError);
    expect(await running).toBeInstanceOf(EngineCrashedError);
    expect(await running).not.toBeInstanceOf(NotBegunError);
  });

  test("unloading the model does not hide that it has ended by itself", async () => {
    await using engine = create(["linger"]);
    const { model, running } = await ending(engine);
    await model[Symbol.asyncDispose]();
    expect(String(await running)).toContain("exit status 7");
    expect(await model.ended).toBeInstanceOf(EngineCrashedError);
  });
});

test("a child that exits ends its request with the exit code", async () => {
  await using engine = create(["exit"]);
  const error = await failure(engine);
  expect(error).toBeInstanceOf(EngineCrashedError);
  expect(String(error)).toContain("exit status 7");
});

test("a child that ends before it began with a request says so of that alone", async () => {
  await using engine = create(["third"]);
  const model = await engine.load(loadSpec("/no/file"), never);
  const outcome = async (): Promise<unknown> => {
    let events = 0;
    try {
      for await (const _ of model.generate(request("x"), never)) events++;
    } catch (error) {
      return [events, error instanceof NotBegunError];
    }
    return events;
  };
  expect(await Promise.all([outcome(), outcome(), outcome()])).toEqual([
    [1, false],
    [0, true],
    [0, true],
  ]);
});

for (const kind of Array(kindsOfGarbage).keys()) {
  test(`nonsense (${kind}) ends the child, not the server`, async () => {
    await using engine = create(["garbage", String(kind)], { stallMs: 5000 });
    const error = await failure(engine);
    expect(error).toBeInstanceOf(EngineCrashedError);
    expect(String(error)).toContain("message that cannot be read");
  });
}

test("bytes that are no messages end the child, not the server", async () => {
  await using engine = create(["noise"], { stallMs: 500 });
  expect(await failure(engine)).toBeInstanceOf(EngineCrashedError);
});

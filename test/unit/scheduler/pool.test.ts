/**
 * Over 400 lines because all scenes share one stage of engines, loads and clock.
 * The scheduler at work, with loads finished by hand and a clock moved by hand (scheduler.md).
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { getEventListeners } from "node:events";
import type { LoadSpec } from "../../../src/engine/engine.ts";
import { BusyError, ModelLoadError, OutOfMemoryError } from "../../../src/errors.ts";
import { silentLogger } from "../../../src/logger.ts";
import type { MemoryLimit } from "../../../src/scheduler/memory.ts";
import { createScheduler } from "../../../src/scheduler/pool.ts";
import type { AcquireRequest, Lease, Scheduler } from "../../../src/scheduler/scheduler.ts";
import { ManualClock, ManualEngine, settle } from "./engine.ts";

const second = 1_000_000_000n;
const never = new AbortController().signal;
let engine: ManualEngine;
let clock: ManualClock;
let scheduler: Scheduler;
let memory: MemoryLimit;
const plenty: MemoryLimit = { kind: "machine", total: 1e9, available: 1e9 };

function open(limits: { maxLoadedModels?: number; maxQueue?: number } = {}): void {
  engine = new ManualEngine();
  clock = new ManualClock();
  scheduler = createScheduler({
    engine,
    clock,
    maxLoadedModels: limits.maxLoadedModels ?? 3,
    maxQueue: limits.maxQueue ?? 512,
    keepAliveNs: 300n * second,
    memory: () => memory,
    logger: silentLogger,
  });
}

beforeEach(() => {
  memory = plenty;
  open();
});
afterEach(() => scheduler[Symbol.asyncDispose]());

function wish(
  name: string,
  options: { load?: Partial<LoadSpec>; keepAlive?: bigint; path?: string } = {},
): AcquireRequest {
  return {
    name,
    digest: `digest of ${name}`,
    load: {
      path: options.path ?? `/blobs/${name}`,
      adapters: [],
      projectors: [],
      contextLength: 4096,
      slots: 4,
      batchSize: 512,
      threads: 0,
      gpuLayers: -1,
      kvCacheType: "f16",
      flashAttention: "auto",
      ...options.load,
    },
    explicit: new Set(Object.keys(options.load ?? {}) as (keyof LoadSpec)[]),
    need: ({ slots }) => ({ lines: [], held: 500 + 125 * slots, peak: 500 + 125 * slots }),
    keepAlive: options.keepAlive,
    terms: { client: "test", priority: "normal" },
  };
}

/** Asks for a model; a refusal that nobody looks at yet is not an unhandled one. */
function ask(request: AcquireRequest, signal: AbortSignal = never): Promise<Lease> {
  const lease = scheduler.acquire(request, signal);
  lease.catch(() => {});
  return lease;
}

/** Acquires a model and finishes its load. */
async function load(request: AcquireRequest): Promise<Lease> {
  const lease = ask(request);
  (await engine.next()).succeed();
  return await lease;
}

/** Loads a model and gives it back. */
async function loadIdle(request: AcquireRequest): Promise<void> {
  (await load(request))[Symbol.dispose]();
  await settle();
}

/** "pending" until a promise settles; then what became of it. */
async function state(promise: Promise<unknown>): Promise<string> {
  await settle();
  return await Promise.race([
    promise.then(
      () => "served",
      (error: Error) => error.constructor.name,
    ),
    settle().then(() => "pending"),
  ]);
}

const names = () => scheduler.running().map((row) => row.name);

describe("loading", () => {
  test("a model is loaded once for requests that come one after the other", async () => {
    await loadIdle(wish("a"));
    using again = await ask(wish("a"));
    expect(again.loadNs).toBeGreaterThan(0);
    expect(engine.count).toBe(1);
    expect(scheduler.running()).toEqual([
      {
        name: "a",
        digest: "digest of a",
        path: "/blobs/a",
        size: 1000,
        sizeGpu: 0,
        resident: 4096,
        contextLength: 4096,
        expiresAt: clock.now() + 300_000,
        slots: 4,
        busy: 0,
        queued: 0,
        stopping: false,
      },
    ]);
    using _turn = await again.turn("text", never);
    expect(scheduler.running()[0]).toMatchObject({ busy: 1, queued: 0 });
  });

  test("requests that wait for one load share it", async () => {
    const waiting = [1, 2, 3].map(() => ask(wish("a")));
    (await engine.next()).succeed();
    const leases = await Promise.all(waiting);
    expect(engine.count).toBe(1);
    expect(new Set(leases.map((lease) => lease.model)).size).toBe(1);
  });

  test("requests that wait for one load share its failure", async () => {
    const waiting = [1, 2].map(() => ask(wish("a")));
    (await engine.next()).fail(new ModelLoadError("broken"));
    const outcomes = await Promise.allSettled(waiting);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(["rejected", "rejected"]);
    expect(engine.count).toBe(1);
    expect(names()).toEqual([]);
  });

  test("a request that waits for its turn when the model dies gets it on a new load", async () => {
    const request = wish("a", { load: { slots: 1 } });
    const first = ask(request);
    const handle = (await engine.next()).succeed();
    using serving = await first;
    using other = await ask(request);
    using waiting = await ask(request);
    using _a = await serving.turn("text", never);
    using _b = await other.turn("text", never);
    const turn = waiting.turn("text", never);
    expect(await state(turn)).toBe("pending");
    handle.die(new Error("killed"));
    (await engine.next()).succeed();
    expect(await state(turn)).toBe("served");
    expect(engine.count).toBe(2);
  });

  test("names of one file share a model, shown under the name that loaded it", async () => {
    await loadIdle(wish("a", { path: "/blobs/x" }));
    (await ask(wish("b", { path: "/blobs/x" })))[Symbol.dispose]();
    expect(names()).toEqual(["a"]);
    scheduler.expire("/blobs/x");
    await settle();
    expect(names()).toEqual([]);
  });

  test("one model is loaded at a time, in the order of the requests", async () => {
    const a = ask(wish("a"));
    const b = ask(wish("b"));
    const first = await engine.next();
    await settle();
    expect([first.spec.path, engine.loads.length]).toEqual(["/blobs/a", 0]);
    first.succeed();
    await a;
    (await engine.next()).succeed();
    await b;
  });

  test("a request for a loaded model goes past a load", async () => {
    await loadIdle(wish("a"));
    const b = ask(wish("b"));
    await engine.next();
    (await ask(wish("a")))[Symbol.dispose]();
    expect(await state(b)).toBe("pending");
  });

  test("a model that is being loaded is not listed", async () => {
    const a = ask(wish("a"));
    const pending = await engine.next();
    expect(names()).toEqual([]);
    pending.succeed();
    await a;
    expect(names()).toEqual(["a"]);
  });

  test("out of memory: the others leave and it is tried again with one slot", async () => {
    await loadIdle(wish("a"));
    const b = ask(wish("b"));
    (await engine.next()).fail(new OutOfMemoryError("no memory"));
    const retry = await engine.next();
    expect([retry.spec.slots, names()]).toEqual([1, []]);
    retry.succeed();
    await b;
  });

  test("out of memory twice is the answer", async () => {
    const a = ask(wish("a"));
    (await engine.next()).fail(new OutOfMemoryError("no memory"));
    (await engine.next()).fail(new OutOfMemoryError("still no memory"));
    expect(a).rejects.toThrow("still no memory");
  });
});

describe("keep-alive", () => {
  test("an idle model leaves when its time is over, counted from the last request's end", async () => {
    const lease = await load(wish("a", { keepAlive: 10n * second }));
    await clock.advance(60_000);
    expect(names()).toEqual(["a"]);
    lease[Symbol.dispose]();
    await clock.advance(9_999);
    expect(names()).toEqual(["a"]);
    await clock.advance(1);
    expect(names()).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  test("the last value set stays for requests that set none", async () => {
    await loadIdle(wish("a", { keepAlive: 3600n * second }));
    (await ask(wish("a")))[Symbol.dispose]();
    expect(scheduler.running()[0]?.expiresAt).toBe(clock.now() + 3_600_000);
  });

  test("a negative value is for ever", async () => {
    await loadIdle(wish("a", { keepAlive: -1n }));
    await clock.advance(1e12);
    expect(scheduler.running()[0]?.expiresAt).toBe(Number.POSITIVE_INFINITY);
  });

  test("zero unloads as soon as the request has ended", async () => {
    const lease = await load(wish("a", { keepAlive: 0n }));
    expect(names()).toEqual(["a"]);
    lease[Symbol.dispose]();
    await settle();
    expect(names()).toEqual([]);
  });

  test("a use stops the clock", async () => {
    await loadIdle(wish("a", { keepAlive: 10n * second }));
    await clock.advance(9_000);
    const lease = await ask(wish("a"));
    await clock.advance(60_000);
    lease[Symbol.dispose]();
    await clock.advance(9_000);
    expect(names()).toEqual(["a"]);
  });

  test("expire unloads an idle model at once and a busy one when it is done", async () => {
    await loadIdle(wish("a"));
    const busy = await load(wish("b"));
    scheduler.expire("/blobs/a");
    scheduler.expire("/blobs/b");
    scheduler.expire("/blobs/unknown");
    await settle();
    expect(names()).toEqual(["b"]);
    expect(scheduler.running()[0]?.expiresAt).toBe(clock.now());
    busy[Symbol.dispose]();
    await settle();
    expect(names()).toEqual([]);
  });

  test("expire during a load unloads the model after the request that waits for it", async () => {
    const waiting = ask(wish("a"));
    const pending = await engine.next();
    scheduler.expire("/blobs/a");
    pending.succeed();
    const lease = await waiting;
    expect(names()).toEqual(["a"]);
    lease[Symbol.dispose]();
    await settle();
    expect(names()).toEqual([]);
  });

  test("models are listed by remaining time, longest first", async () => {
    await loadIdle(wish("a", { keepAlive: 60n * second }));
    await loadIdle(wish("b", { keepAlive: -1n }));
    await loadIdle(wish("c", { keepAlive: 120n * second }));
    expect(names()).toEqual(["b", "c", "a"]);
  });
});

describe("context length", () => {
  const context = (contextLength: number) => wish("a", { load: { contextLength } });

  test("a smaller or no num_ctx never reloads, and its requests keep to what they chose", async () => {
    await loadIdle(context(8192));
    using small = await ask(context(128));
    expect(small.contextLength).toBe(128);
    expect(scheduler.running()[0]?.contextLength).toBe(128);
    using none = await ask(wish("a"));
    expect(none.contextLength).toBe(8192);
    expect(engine.count).toBe(1);
  });

  test("a larger num_ctx waits until the model is idle and loads it anew, keeping its keep-alive", async () => {
    const busy = await load(wish("a", { keepAlive: -1n }));
    const larger = ask(context(8192));
    const behind = ask(wish("a"));
    expect([await state(larger), await state(behind), engine.count]).toEqual([
      "pending",
      "pending",
      1,
    ]);
    busy[Symbol.dispose]();
    const again = await engine.next();
    expect(again.spec.contextLength).toBe(8192);
    again.succeed();
    (await larger)[Symbol.dispose]();
    expect((await behind).contextLength).toBe(8192);
    expect(engine.count).toBe(2);
    expect(scheduler.running()[0]?.expiresAt).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("eviction", () => {
  test("with 10m, 1m and for ever loaded, the fourth model takes the place of 1m", async () => {
    await loadIdle(wish("a", { keepAlive: 600n * second }));
    await loadIdle(wish("b", { keepAlive: 60n * second }));
    await loadIdle(wish("c", { keepAlive: -1n }));
    await loadIdle(wish("d"));
    expect(names().toSorted()).toEqual(["a", "c", "d"]);
  });

  test("leaves nothing of the model that went with the one that came", async () => {
    await scheduler[Symbol.asyncDispose]();
    open({ maxLoadedModels: 1 });
    await loadIdle(wish("a"));
    void ask(wish("b"));
    const { signal, succeed } = await engine.next();
    succeed();
    await settle();
    // The engine's own; a listener that stays keeps the old model and its request in memory.
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
  });

  test("a busy model is waited for and gets no new requests meanwhile", async () => {
    await scheduler[Symbol.asyncDispose]();
    open({ maxLoadedModels: 1 });
    const busy = await load(wish("a"));
    const b = ask(wish("b"));
    const a = ask(wish("a"));
    expect([await state(b), await state(a)]).toEqual(["pending", "pending"]);
    busy[Symbol.dispose]();
    (await engine.next()).succeed();
    const lease = await b;
    expect([names(), await state(a)]).toEqual([["b"], "pending"]);
    lease[Symbol.dispose]();
    (await engine.next()).succeed();
    await a;
    expect(names()).toEqual(["a"]);
  });

  test("of busy models the one that is idle first goes, and those that stay have new requests again", async () => {
    await scheduler[Symbol.asyncDispose]();
    open({ maxLoadedModels: 2 });
    const slow = await load(wish("a"));
    const quick = await load(wish("b"));
    const c = ask(wish("c"));
    // "a" would be the first to go.
    const again = ask(wish("a"));
    expect([await state(c), await state(again)]).toEqual(["pending", "pending"]);
    quick[Symbol.dispose]();
    (await engine.next()).succeed();
    expect([await state(c), await state(again)]).toEqual(["served", "served"]);
    expect(names().toSorted()).toEqual(["a", "c"]);
    slow[Symbol.dispose]();
  });

  test("a client that leaves while it waits for a place gives the model back its freedom", async () => {
    await scheduler[Symbol.asyncDispose]();
    open({ maxLoadedModels: 1 });
    const busy = await load(wish("a"));
    const abort = new AbortController();
    const b = ask(wish("b"), abort.signal);
    await settle();
    abort.abort();
    expect(await state(b)).toBe("CanceledError");
    (await ask(wish("a")))[Symbol.dispose]();
    busy[Symbol.dispose]();
    await settle();
    expect(names()).toEqual(["a"]);
  });
});

describe("queue", () => {
  test("beyond its limit requests are refused, those for loaded models are not", async () => {
    await scheduler[Symbol.asyncDispose]();
    open({ maxQueue: 1 });
    await loadIdle(wish("loaded"));
    const first = ask(wish("x"));
    const x = await engine.next();
    const second = ask(wish("x"));
    expect(ask(wish("y"))).rejects.toBeInstanceOf(BusyError);
    (await ask(wish("loaded")))[Symbol.dispose]();
    x.succeed();
    await Promise.all([first, second]);
  });

  test("a client that leaves the queue is passed over", async () => {
    const a = ask(wish("a"));
    const loading = await engine.next();
    const abort = new AbortController();
    const b = ask(wish("b"), abort.signal);
    abort.abort();
    expect(await state(b)).toBe("CanceledError");
    loading.succeed();
    await a;
    await settle();
    expect(engine.count).toBe(1);
  });
});

describe("clients that leave during a load", () => {
  test("the only one takes the load with it", async () => {
    const abort = new AbortController();
    const a = ask(wish("a"), abort.signal);
    const loading = await engine.next();
    abort.abort();
    expect(await state(a)).toBe("CanceledError");
    expect(loading.signal.aborted).toBe(true);
    expect(names()).toEqual([]);
    await loadIdle(wish("a"));
    expect(engine.count).toBe(2);
  });

  test("one of two leaves the load to the other", async () => {
    const abort = new AbortController();
    const first = ask(wish("a"), abort.signal);
    const second = ask(wish("a"));
    const loading = await engine.next();
    abort.abort();
    expect(await state(first)).toBe("CanceledError");
    expect(loading.signal.aborted).toBe(false);
    loading.succeed();
    await second;
    expect(engine.count).toBe(1);
  });

  test("a signal that was aborted before asks for nothing", async () => {
    expect(await state(ask(wish("a"), AbortSignal.abort()))).toBe("CanceledError");
    expect(engine.count).toBe(0);
  });
});

describe("a model whose process ends", () => {
  test("is forgotten at once, and the next request loads it again", async () => {
    const waiting = ask(wish("a"));
    const model = (await engine.next()).succeed();
    const lease = await waiting;
    model.die(new Error("killed"));
    await settle();
    expect(names()).toEqual([]);
    await loadIdle(wish("a"));
    expect(engine.count).toBe(2);
    lease[Symbol.dispose]();
    await settle();
    expect(names()).toEqual(["a"]);
  });
});

test("a scheduler that ends frees its models and refuses everybody", async () => {
  const waiting = ask(wish("a"));
  const model = (await engine.next()).succeed();
  await waiting;
  const b = ask(wish("b"));
  const loading = await engine.next();
  const c = ask(wish("c"));
  await scheduler[Symbol.asyncDispose]();
  expect([await state(b), await state(c), model.disposed, loading.signal.aborted]).toEqual([
    "CanceledError",
    "CanceledError",
    true,
    true,
  ]);
  expect(await state(ask(wish("a")))).toBe("CanceledError");
});

describe("memory", () => {
  // A model of these tests takes 1,000 with its 4 slots.
  test("is left to others that fit, idle ones make room, and what cannot fit is refused", async () => {
    memory = { kind: "promised", bytes: 2500 };
    await loadIdle(wish("a"));
    await loadIdle(wish("b"));
    expect(scheduler.running()).toHaveLength(2);
    await loadIdle(wish("c"));
    expect(scheduler.running().map(({ name }) => name)).not.toContain("a");
    const large = ask({ ...wish("d"), need: () => ({ lines: [], held: 1, peak: 2501 }) });
    expect(large).rejects.toThrow(/^model requires more system memory \(/);
    await settle();
    expect(scheduler.running()).toHaveLength(2);
  });

  test("that a busy model holds is waited for", async () => {
    memory = { kind: "promised", bytes: 1500 };
    const busy = await load(wish("a"));
    const waiting = ask(wish("b"));
    expect(await state(waiting)).toBe("pending");
    busy[Symbol.dispose]();
    (await engine.next()).succeed();
    (await waiting)[Symbol.dispose]();
    expect(scheduler.running().map(({ name }) => name)).toEqual(["b"]);
  });

  test("for fewer slots is enough, unless they were chosen", async () => {
    memory = { kind: "promised", bytes: 1100 };
    const request = { ...wish("a", { load: { slots: 8 } }), explicit: new Set<keyof LoadSpec>() };
    const lease = ask(request);
    const next = await engine.next();
    expect(next.spec.slots).toBe(4);
    next.succeed();
    (await lease)[Symbol.dispose]();
    expect(ask(wish("b", { load: { slots: 8 } }))).rejects.toThrow(OutOfMemoryError);
  });
});

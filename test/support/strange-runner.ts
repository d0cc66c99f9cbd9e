/**
 * A runner that misbehaves as its argument says, for tests of the parent: `silent` loads and never
 * answers, `deaf` never says that it is ready, `gpu` aborts when it is to load a model with a GPU, and
 * `gpu-deaf` never says then that it is ready, `exit` ends, `linger` does and leaves a process that keeps
 * its stderr open, `third` begins with the first of three requests and ends, `noise` writes bytes that are
 * no messages into the channel, `garbage` answers what is no report, the one of the number that follows.
 */
import { writeSync } from "node:fs";
import type { GenerateEvent } from "../../src/engine/engine.ts";
import { type Command, decodeMessage, type Report } from "../../src/engine/protocol.ts";

const [, , how, number = "0"] = process.argv;

const ready: Report = {
  type: "ready",
  interruptible: false,
  info: {
    contextLength: 256,
    trainedContextLength: 256,
    slots: how === "linger" ? 2 : 1,
    vocabularySize: 10,
    addsBos: false,
    embeddingLength: 4,
    inputs: { images: false, sound: false },
    canShift: true,
    specialTokens: [],
    memory: { total: 1, gpu: 0 },
  },
};

/** What a runner never sends; `id` is that of the request. */
const garbage: readonly ((id: number) => unknown)[] = [
  () => "text",
  () => "{",
  () => 7,
  () => null,
  () => ({ type: "unknown" }),
  () => ({ type: "ready" }),
  () => ({ type: "events" }),
  (id) => ({ type: "events", events: [[id, null]] }),
  (id) => ({ type: "events", events: [[id, { type: "text", text: 5 }]] }),
  (id) => ({ type: "events", events: [[id, { type: "done" }]] }),
  (id) => ({ type: "error", id }),
  (id) => ({ type: "tokens", id, tokens: ["a"] }),
  (id) => new Uint8Array(id + 1),
];

/** As ggml ends the process when a driver fails. */
function abort(): never {
  writeSync(2, "CUDA error: out of memory\n  current device: 0\nggml-cuda.cu:108: CUDA error\n");
  process.kill(process.pid, "SIGABRT");
  throw new Error("the signal has not come");
}

const ids: number[] = [];

function third(id: number): void {
  ids.push(id);
  if (ids.length < 3) return;
  const events: [number, GenerateEvent][] = [[ids[0] ?? 0, { type: "text", text: "a" }]];
  process.send?.({ type: "events", events } satisfies Report, undefined, undefined, () =>
    process.exit(7),
  );
}

/** The channel to the parent, as Bun 1.4.5 hands it on. */
const channel = Number(process.env.NODE_CHANNEL_FD);

export const kindsOfGarbage: number = garbage.length;

if (import.meta.main) {
  process.on("disconnect", () => process.exit(0));
  process.on("message", (carried: unknown) => {
    const message = decodeMessage(carried) as Command;
    if (message.type === "load") {
      if (how === "gpu" && message.spec.gpuLayers !== 0) abort();
      const deaf = how === "deaf" || (how === "gpu-deaf" && message.spec.gpuLayers !== 0);
      if (!deaf) process.send?.(ready);
    } else if (how === "exit") process.exit(7);
    else if (how === "linger") {
      Bun.spawn(["sleep", "2"], { stdio: ["ignore", "ignore", "inherit"] });
      process.exit(7);
    } else if (how === "third") third("id" in message ? message.id : 0);
    else if (how === "noise") writeSync(channel, new Uint8Array(4096).fill(0xa5));
    else if (how === "garbage") {
      process.send?.(garbage[Number(number)]?.("id" in message ? message.id : 0));
    }
  });
}

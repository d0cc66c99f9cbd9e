/** `ps --watch`: rows of what is loaded and what is to come, and tables that fit their terminal. */
import { describe, expect, test } from "bun:test";
import { fittedTable, watchRows } from "../../../src/cli/watch.ts";

const gone = new Date(Date.now() - 1000).toISOString();
const answer = {
  models: [
    {
      name: "stories:latest",
      size: 3_000_000,
      size_vram: 0,
      context_length: 512,
      expires_at: "2318-01-01T00:00:00Z",
      state: "running",
      slots: { busy: 2, total: 4 },
      queue: 7,
    },
    {
      name: "talk:latest",
      size: 10_000_000,
      size_vram: 5_000_000,
      context_length: 2048,
      expires_at: gone,
      state: "stopping",
      slots: { busy: 1, total: 1 },
      queue: 0,
    },
  ],
  loading: [{ name: "big:q4", state: "loading", waiting: 3 }],
};

const rows = watchRows(answer);
const text = (width: number, height = 24) => fittedTable(rows, width, height);

describe("rows", () => {
  test("tell slots, queue and state of loaded models, and who waits for one to come", () => {
    expect(rows).toEqual([
      {
        NAME: "stories:latest",
        SIZE: "3 MB",
        PROCESSOR: "100% CPU",
        CONTEXT: "512",
        STATE: "running",
        SLOTS: "2/4",
        QUEUE: "7",
        UNTIL: "Forever",
      },
      {
        NAME: "talk:latest",
        SIZE: "10 MB",
        PROCESSOR: "50%/50% CPU/GPU",
        CONTEXT: "2048",
        STATE: "stopping",
        SLOTS: "1/1",
        QUEUE: "0",
        UNTIL: "Stopping...",
      },
      {
        NAME: "big:q4",
        SIZE: "-",
        PROCESSOR: "-",
        CONTEXT: "-",
        STATE: "loading",
        SLOTS: "-",
        QUEUE: "3",
        UNTIL: "-",
      },
    ]);
  });

  test("begin with a prefix where one is given", () => {
    expect(watchRows(answer, "big").map(({ NAME }) => NAME)).toEqual(["big:q4"]);
  });

  test("of a server that tells Ollama's fields alone say what is unknown", () => {
    const { state: _state, slots: _slots, queue: _queue, ...plain } = answer.models[0] ?? {};
    expect(watchRows({ models: [plain] })).toMatchObject([
      { NAME: "stories:latest", STATE: "-", SLOTS: "-", QUEUE: "-" },
    ]);
  });
});

describe("a table", () => {
  test("has every column where there is room", () => {
    expect(text(120)).toEqual([
      "NAME              SIZE     PROCESSOR          CONTEXT    STATE       SLOTS    QUEUE    UNTIL",
      "stories:latest    3 MB     100% CPU           512        running     2/4      7        Forever",
      "talk:latest       10 MB    50%/50% CPU/GPU    2048       stopping    1/1      0        Stopping...",
      "big:q4            -        -                  -          loading     -        3        -",
    ]);
  });

  test("gives up columns in a narrow terminal, slots and queue last", () => {
    expect(text(60)).toEqual([
      "NAME              STATE       SLOTS    QUEUE    UNTIL",
      "stories:latest    running     2/4      7        Forever",
      "talk:latest       stopping    1/1      0        Stopping...",
      "big:q4            loading     -        3        -",
    ]);
    expect(text(32)[1]).toBe("stories:latest    2/4      7");
    expect(text(8)).toEqual(["NAME", "stories…", "talk:la…", "big:q4"]);
  });

  test("never is wider or taller than its terminal", () => {
    for (let width = 1; width < 100; width++) {
      for (let height = 1; height < 6; height++) {
        const found = text(width, height);
        expect(found.length).toBeLessThanOrEqual(height);
        for (const line of found) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(width);
      }
    }
    expect(text(60, 3).at(-1)).toBe("… 2 more");
  });
});

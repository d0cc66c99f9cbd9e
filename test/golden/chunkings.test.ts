/**
 * Parsers of output at random chunkings (seeded): what a recorded output gives in total must not depend
 * on how it is cut. Outputs for which the reference's own result depends on chunks are left out.
 */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Tool } from "../../src/chat/messages.ts";
import type { OutputParser } from "../../src/chat/output.ts";
import { type ParserVector, parserFor, totalOf } from "./kinds/parsers.ts";
import { kindsIn } from "./vectors.ts";

const dir = resolve(import.meta.dir, "../../../shared/golden/vectors");
const present = existsSync(dir);
const kinds = present ? kindsIn(dir).filter((kind) => kind.startsWith("parser-")) : [];

function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

function cut(text: string, next: (limit: number) => number): string[] {
  const points = [...text];
  const most = 1 + next(12);
  const pieces: string[] = [];
  while (points.length > 0) pieces.push(points.splice(0, 1 + next(most)).join(""));
  return pieces;
}

describe.skipIf(!present)("whatever the pieces, the total is the same", () => {
  test.each(kinds)("%s", async (file) => {
    const data = await Bun.file(join(dir, `${file}.json`)).json();
    const kind = String(data.parser);
    const definitions = data.tool_definitions as Record<string, Tool>;
    const next = random(4711);
    const parser = (vector: ParserVector) => parserFor(kind, vector, definitions) as OutputParser;
    const wrong: string[] = [];
    let compared = 0;
    for (const vector of data.vectors as ParserVector[]) {
      if (vector.chunk_dependent) continue;
      const whole = totalOf(parser(vector), [...vector.text], false);
      for (let round = 0; round < 5; round++) {
        const pieces = cut(vector.text, next);
        const total = totalOf(parser(vector), pieces, false);
        compared++;
        if (!Bun.deepEquals(total, whole))
          wrong.push(JSON.stringify([vector.id, pieces, total, whole]));
      }
    }
    expect(compared).toBeGreaterThan(50);
    expect(wrong).toEqual([]);
  });
});

test.skipIf(present)("recorded outputs are beside the checkout", () => {
  expect(present).toBe(true);
});

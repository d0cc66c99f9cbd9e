/** The recorded vectors of the reference, as part of `npm test`; skipped where they are missing. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { runnerOf } from "./kinds/table.ts";
import { kindsIn, runKind } from "./vectors.ts";

const dir = resolve(import.meta.dir, "../../../shared/golden/vectors");
const present = existsSync(dir);

describe.skipIf(!present)("recorded vectors", () => {
  for (const kind of present ? kindsIn(dir) : []) {
    test.skipIf(runnerOf(kind) === undefined)(`${kind} follow the reference`, async () => {
      const { failures, passed } = await runKind(dir, kind);
      expect(failures.length, failures.slice(0, 3).join("\n")).toBe(0);
      expect(passed).toBeGreaterThan(0);
    });
  }
});

test.skipIf(present)("recorded vectors are beside the checkout", () => {
  expect(present).toBe(true);
});

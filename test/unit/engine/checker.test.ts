/** Checks of constraints, when the child that is to make them does not start. */
import { expect, test } from "bun:test";
import { Checker } from "../../../src/engine/checker.ts";
import type { LoadedModel } from "../../../src/engine/engine.ts";
import { ModelLoadError } from "../../../src/errors.ts";

const choice = { kind: "choice", text: '["a"]' } as const;
const never = new AbortController().signal;

test("whoever leaves while it starts is let go; others wait for the same start", async () => {
  const start = Promise.withResolvers<LoadedModel>();
  let starts = 0;
  const checker = new Checker(() => {
    starts++;
    return start.promise;
  });
  const leaver = new AbortController();
  const left = checker.check(choice, [], leaver.signal);
  const other = checker.check(choice, [], never);
  leaver.abort();
  await expect(left).rejects.toThrow("aborted");
  start.reject(new ModelLoadError("broken"));
  await expect(other).rejects.toThrow("broken");
  expect(starts).toBe(1);
  // A start that failed is not asked again.
  const again = checker.check(choice, [], never);
  await expect(again).rejects.toThrow("broken");
  expect(starts).toBe(2);
});

/** Every error code has a status in every dialect. */
import { expect, test } from "bun:test";
import { errorCodes } from "../../src/errors.ts";
import { statusOf } from "../../src/server/ollama/errors.ts";

test("Ollama's table has a status for every code and no other", () => {
  expect(Object.keys(statusOf).sort()).toEqual([...errorCodes].sort());
  for (const status of Object.values(statusOf)) expect(status).toBeGreaterThanOrEqual(400);
});

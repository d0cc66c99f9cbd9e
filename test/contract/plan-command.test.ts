/** `hutch plan` and HUTCH_MEMORY: what is told before loading is what admission goes by. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { parseArguments } from "../../src/cli/arguments.ts";
import { commands, findCommand } from "../../src/cli/commands.ts";
import { ModelNotFoundError, UsageError } from "../../src/errors.ts";
import { type Application, openApplication } from "../support/application.ts";
import { testContext } from "../support/command-line.ts";

let application: Application;
beforeEach(async () => {
  application = openApplication({ env: { HUTCH_MEMORY: "1M" } });
  await application.create("m");
});
afterEach(() => application[Symbol.asyncDispose]());

/** Runs `hutch plan`; returns its exit code and what it printed. */
async function plan(argv: string[], env: Record<string, string> = {}): Promise<[number, string]> {
  const command = findCommand("plan");
  if (command === undefined) throw new Error("no command plan");
  const context = testContext({ env: { HOME: application.home, ...env } });
  const code = await command.run(context, parseArguments(command, argv), commands);
  return [code, context.printed.out];
}

test("plan prints the bill as text and as JSON, and says by its exit code whether it fits", async () => {
  const [code, out] = await plan(["m"], { HUTCH_MEMORY: "1T", HUTCH_NUM_PARALLEL: "2" });
  expect(code).toBe(0);
  expect(out).toMatch(/^m:latest: fits\nweights .*\nkv cache .* 2 x \d+ tokens, f16\nbuffers /);
  expect(out).toMatch(/\navailable +1024.0 GiB {2}HUTCH_MEMORY\n$/);
  const small = await plan(["m", "--format", "json"], { HUTCH_MEMORY: "1K" });
  const told = JSON.parse(small[1]);
  expect(small[0]).toBe(4);
  expect(told).toMatchObject({ model: "m:latest", slots: 1, fits: false, available: 1024 });
  expect(told.lines.reduce((sum: number, { bytes }: { bytes: number }) => sum + bytes, 0)).toBe(
    told.peak,
  );
});

test("plan goes by options, and by the machine where nothing was promised", async () => {
  const context = async (...argv: string[]) =>
    JSON.parse((await plan(["m", "--format", "json", ...argv]))[1]);
  expect(await context("--option", "num_ctx=16")).toMatchObject({
    context_length: 16,
    limited_by: "machine",
    fits: true,
  });
  expect(plan(["nosuch"])).rejects.toThrow(ModelNotFoundError);
  expect(plan(["m", "--format", "xml"])).rejects.toThrow(UsageError);
});

test("a model that breaks the promise is refused with its bill, and nothing is loaded", async () => {
  const options = { num_ctx: 1024, num_batch: 4096 };
  const answer = await application.post("/api/generate", { model: "m", prompt: "x", options });
  expect(answer).toEqual({
    status: 500,
    body: {
      error: expect.stringMatching(
        /^model requires more system memory \(\d+\.\d MiB\) than is available \(1\.0 MiB\): .*buffers/,
      ),
    },
  });
  expect(application.scheduler.running()).toEqual([]);
});

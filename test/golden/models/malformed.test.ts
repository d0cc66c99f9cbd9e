/** Recorded malformed and unusual GGUFs: what is right (`expect`), how fast, with how much memory. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { haveExecutable } from "../../support/executable.ts";
import { type Fixtures, haveFixtures, makeFixtures } from "../../support/fixtures.ts";
import { type CaseServer, startCaseServer } from "./server.ts";

interface Case {
  readonly name: string;
  readonly expect: "accept" | "reject" | "load";
  readonly names: readonly string[];
}

const mostMs = 1000;
const mostBytes = 200 * 2 ** 20;

describe.skipIf(!haveFixtures || !haveExecutable)("recorded malformed GGUFs", () => {
  let made: Fixtures;
  let server: CaseServer;

  beforeAll(async () => {
    made = makeFixtures("gguf_cases.py");
    server = await startCaseServer();
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    made?.[Symbol.dispose]();
  });

  const memory = () =>
    Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.server.pid}/status`, "utf8"))?.[1]) *
    1024;

  async function run(name: string) {
    const files = await server.upload({ [`${name}.gguf`]: made.path(`${name}.gguf`) });
    const since = performance.now();
    const created = await server.create({ model: "case", files, stream: false });
    const ms = performance.now() - since;
    const answer = await server.server.post("/api/generate", {
      model: "case",
      prompt: "a",
      stream: false,
      options: { num_predict: 1, temperature: 0 },
    });
    const { error = "" } = (await answer.json()) as { error?: string };
    const generate = { status: answer.status, error };
    await server.server.request("DELETE", "/api/delete", { model: "case" });
    return { created, ms, generate };
  }

  test("every case is accepted, refused by name, or fails to load by name", async () => {
    const cases = JSON.parse(readFileSync(made.path("cases.json"), "utf8")) as Case[];
    expect(cases.length).toBeGreaterThan(50);
    const wrong: string[] = [];
    for (const { name, expect: right, names } of cases) {
      const { created, ms, generate } = await run(name);
      const told = created.lines[0]?.error ?? "";
      const named = (text: string) => names.some((word) => text.includes(word));
      const good =
        right === "accept"
          ? created.status === 200 && generate.status === 200
          : created.status === 400
            ? named(told)
            : right === "load" &&
              created.status === 200 &&
              generate.status >= 400 &&
              named(generate.error);
      if (!good || ms > mostMs) {
        wrong.push(
          `${name} (${right}): ${created.status} ${told} ${Math.round(ms)} ms, then ${generate.status} ${generate.error}`,
        );
      }
    }
    expect(wrong).toEqual([]);
    if (process.platform === "linux") expect(memory()).toBeLessThan(mostBytes + 100 * 2 ** 20);
  });
});

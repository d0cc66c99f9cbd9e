/** `hutch batch`: lines in, answers out in the same order; going on after a kill. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { readLine, readOutput } from "../../../src/cli/batch-lines.ts";
import { UsageError } from "../../../src/errors.ts";
import { runOn, testContext } from "../../support/command-line.ts";
import { temporaryFolder } from "../../support/executable.ts";

const chat = { json: { message: { content: "yes" } } };

async function batch(lines: readonly unknown[], flags: readonly string[] = [], before?: string) {
  await using folder = await temporaryFolder();
  const input = join(folder.path, "in.jsonl");
  const output = join(folder.path, "out.jsonl");
  const text = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line)));
  await Bun.write(input, `${text.join("\n")}\n`);
  if (before !== undefined) await Bun.write(output, before);
  const context = testContext({
    answers: {
      "POST /api/chat": chat,
      "POST /api/generate": { json: { error: "no" }, status: 404 },
      "POST /v1/chat/completions": { json: { choices: [] } },
    },
  });
  const code = await runOn(context, "batch", [input, output, ...flags]);
  const written = (await Bun.file(output).text()).split("\n").slice(0, -1);
  return {
    code,
    note: context.printed.note,
    sent: context.sent,
    lines: written.map((l) => JSON.parse(l)),
  };
}

const done = (custom_id: string, body: unknown = chat.json, status_code = 200) => ({
  custom_id,
  response: { status_code, body },
  error: null,
});

describe("a line", () => {
  test("is OpenAI's, or a bare body whose members say where it goes", () => {
    const openai = {
      custom_id: "a",
      method: "POST",
      url: "/v1/chat/completions",
      body: { model: "m" },
    };
    const cases = [
      openai,
      { messages: [] },
      { prompt: "p", model: "n" },
      { custom_id: "x", input: "t" },
    ];
    expect(cases.map((line, i) => readLine(JSON.stringify(line), i + 1, "d"))).toEqual([
      { id: "a", path: "/v1/chat/completions", body: { model: "m", stream: false } },
      { id: "line-2", path: "/api/chat", body: { model: "d", messages: [], stream: false } },
      { id: "line-3", path: "/api/generate", body: { model: "n", prompt: "p", stream: false } },
      { id: "x", path: "/api/embed", body: { model: "d", input: "t", stream: false } },
    ]);
  });

  test("that is neither says what is wrong", () => {
    const texts = ["{", "[]", '{"model":"m"}', '{"custom_id":"a","url":"/other","body":{}}'];
    expect(texts.map((text, i) => readLine(text, i + 1, undefined))).toEqual([
      { id: "line-1", problem: "line 1 is no JSON" },
      { id: "line-2", problem: "line 2 is no JSON object" },
      { id: "line-3", problem: 'line 3 has neither "messages", "prompt" nor "input"' },
      { id: "a", problem: expect.stringContaining("line 4: /url") },
    ]);
  });
});

describe("a batch", () => {
  test("answers in the order of the input, and tells what failed", async () => {
    const { code, note, lines } = await batch(
      [{ messages: [] }, { custom_id: "b", prompt: "x" }, "nonsense", "", { messages: [] }],
      ["--model", "m", "--parallel", "2", "--quiet"],
    );
    expect({ code, note, lines }).toEqual({
      code: 1,
      note: "4 done, 2 failed\n",
      lines: [
        done("line-1"),
        done("b", { error: "no" }, 404),
        {
          custom_id: "line-3",
          response: null,
          error: { code: "invalid_line", message: "line 3 is no JSON" },
        },
        done("line-5"),
      ],
    });
  });

  test("goes on behind the last whole line", async () => {
    const inputs = [1, 2, 3].map((n) => ({ custom_id: `${n}`, messages: [] }));
    const before = `${JSON.stringify(done("1"))}\n${JSON.stringify(done("2")).slice(0, 20)}`;
    const { code, note, sent, lines } = await batch(inputs, ["--quiet"], before);
    expect({ code, note, asked: sent.length, lines }).toEqual({
      code: 0,
      note: "2 done, 0 failed, 1 were there already\n",
      asked: 2,
      lines: [done("1"), done("2"), done("3")],
    });
  });

  test("refuses an output of another input, and a file that is none", async () => {
    const inputs = [{ custom_id: "1", messages: [] }];
    await expect(batch(inputs, [], `${JSON.stringify(done("other"))}\n`)).rejects.toThrow(
      'the output is of another input: it has "other" for "1"',
    );
    await expect(batch(inputs, [], "my notes\n")).rejects.toBeInstanceOf(UsageError);
  });

  test("counts what an output holds", () => {
    const text = `${JSON.stringify(done("1"))}\n${JSON.stringify(done("2", {}, 500))}\n{"cus`;
    expect(readOutput(text)).toEqual({ ids: ["1", "2"], bytes: text.length - 5, failed: 1 });
  });
});

/** Structured output through the API on a scripted engine: levels, judgement, tries (docs/structured-output.md). */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Constraint, ConstraintReport } from "../../src/engine/engine.ts";
import { type Application, openApplication } from "../support/application.ts";

let application: Application;
/** What was checked: each constraint and its texts. */
let checks: { constraint: Constraint; texts: readonly string[] }[];

beforeEach(async () => {
  application = openApplication();
  checks = [];
  await application.create("m");
});
afterEach(() => application[Symbol.asyncDispose]());

const rule = { pointer: "/a/not", keyword: "not", reason: "cannot be expressed" };
const broken = { pointer: "/a", keyword: "not", reason: "a string" };

/** Makes the engine find this level, and texts that contain "bad" broken. */
function judgeAs(level: ConstraintReport["level"]): void {
  application.engine.onCheck = (constraint, texts) => {
    checks.push({ constraint, texts });
    return {
      level,
      ...(level === "enforced" ? {} : { reason: rule }),
      compileMs: 1,
      verdicts: texts.map((text) => ({
        accepted: true,
        ...(text.includes("bad") ? { broken } : {}),
      })),
    };
  };
}

const generate = (more: Record<string, unknown>) =>
  application.post("/api/generate", { model: "m", prompt: "x", stream: false, ...more });
const answers = (...texts: string[]) => {
  application.engine.answers = texts.map((text) => ({ steps: [text] }));
};

describe("levels", () => {
  test("an enforced answer looks like any other, the level is in a header", async () => {
    judgeAs("enforced");
    answers("{}");
    const wanted = { model: "m", prompt: "x", stream: false, format: "json" };
    const response = await application.send("POST", "/api/generate", wanted);
    const body = await response.json();
    expect(response.status).toBe(200);
    expect(response.headers.get("x-hutch-format-level")).toBe("enforced");
    expect(body).not.toHaveProperty("format_level");
    expect(checks).toEqual([
      { constraint: { kind: "schema", text: '{"type":"object"}' }, texts: [] },
      { constraint: { kind: "schema", text: '{"type":"object"}' }, texts: ["{}"] },
    ]);
    expect(application.engine.requests[0]?.constraint).toEqual({
      kind: "schema",
      text: '{"type":"object"}',
    });
  });

  test("clients that use hutch's own fields find the level in the answer", async () => {
    judgeAs("validated");
    answers("{}");
    const { body } = await generate({ format: {}, strict: false });
    expect(body).toMatchObject({ format_level: "validated" });
  });

  test("a refused schema is a 400 with place, keyword and reason, before anything runs", async () => {
    judgeAs("refused");
    expect(await generate({ format: {} })).toMatchObject({
      status: 400,
      body: { error: 'format: cannot be kept: at "/a/not": "not": cannot be expressed' },
    });
    expect(application.engine.requests).toEqual([]);
  });

  test("strict refuses what is only validated", async () => {
    judgeAs("validated");
    expect(await generate({ format: {}, strict: true })).toMatchObject({
      status: 400,
      body: {
        error:
          'format: strict was asked for, but this cannot be enforced: at "/a/not": "not": cannot be expressed',
      },
    });
  });

  test("strict without a form says which fields it goes with, with tools too", async () => {
    const error = "strict: expected one of format, grammar, regex, choice beside it, got none";
    expect(await generate({ strict: true })).toEqual({ status: 400, body: { error } });
    const tools = [{ type: "function", function: { name: "now", parameters: { type: "object" } } }];
    await application.create("tools", { template: "{{ .Tools }}{{ .Prompt }}" });
    const messages = [{ role: "user", content: "x" }];
    const chat = { model: "tools", messages, tools, strict: true, stream: false };
    expect(await application.post("/api/chat", chat)).toEqual({ status: 400, body: { error } });
    expect(application.engine.requests).toEqual([]);
  });

  test("a fault of the whole schema is at its root", async () => {
    application.engine.onCheck = () => {
      const reason = { pointer: "", keyword: "false", reason: "no text can satisfy it" };
      return { level: "refused", reason, compileMs: 1, verdicts: [] };
    };
    expect(await generate({ format: {} })).toMatchObject({
      status: 400,
      body: { error: 'format: cannot be kept: at "#": "false": no text can satisfy it' },
    });
  });

  test("the engine gets the client's own text", async () => {
    judgeAs("enforced");
    answers("{}");
    const schema = '{"properties":{"10":{"const":9007199254740993},"2":{}}}';
    const body = `{"model":"m","prompt":"x","stream":false,"Format": ${schema} }`;
    const response = await application.send("POST", "/api/generate", body);
    expect(response.status).toBe(200);
    expect(checks[0]?.constraint.text).toBe(schema);
  });
});

describe("an answer that breaks its form", () => {
  test("is tried again with other seeds, and the first good one is given", async () => {
    judgeAs("validated");
    answers("bad", "bad", "good");
    const { status, body } = await generate({ format: {}, options: { seed: 5, temperature: 1 } });
    expect({ status, text: (body as { response: string }).response }).toEqual({
      status: 200,
      text: "good",
    });
    expect(application.engine.requests.map(({ sampling }) => sampling.seed)).toEqual([5, 6, 7]);
  });

  test("ends in an error after the last try, in chat too", async () => {
    judgeAs("validated");
    answers("bad");
    const error = 'the answer does not keep to its format: at "/a": "not": a string';
    expect(await generate({ format: {} })).toMatchObject({ status: 500, body: { error } });
    const messages = [{ role: "user", content: "x" }];
    const chat = { model: "m", messages, format: {}, stream: false };
    expect(await application.post("/api/chat", chat)).toMatchObject({
      status: 500,
      body: { error },
    });
    expect(application.engine.requests.length).toBe(6);
  });

  test("ends a stream with an error line, without a final object", async () => {
    judgeAs("validated");
    answers("bad");
    const lines = await application.lines("/api/generate", { model: "m", prompt: "x", format: {} });
    expect(lines.at(-1)).toEqual({
      error: 'the answer does not keep to its format: at "/a": "not": a string',
    });
    expect(lines.filter((line) => (line as { done?: boolean }).done)).toEqual([]);
  });

  test("tells the kind of an error in mid-stream to clients that ask for it", async () => {
    judgeAs("validated");
    answers("bad");
    const body = { model: "m", prompt: "x", format: {} };
    const headers = { "x-hutch-extras": "errors" };
    const text = await (await application.send("POST", "/api/generate", body, headers)).text();
    expect(JSON.parse(text.trimEnd().split("\n").at(-1) ?? "")).toEqual({
      error: 'the answer does not keep to its format: at "/a": "not": a string',
      code: "format",
    });
  });

  test("cut by its length says what is wrong, to clients that ask for more than Ollama's", async () => {
    judgeAs("enforced");
    application.engine.answers = [{ steps: ["bad"], reason: "length" }];
    const { body } = await generate({ format: {}, strict: true });
    expect(body).toMatchObject({
      done_reason: "length",
      format_error: 'at "/a": "not": a string',
      format_level: "enforced",
    });
    const plain = await generate({ format: {} });
    expect(plain.body).toMatchObject({ done_reason: "length" });
    expect(plain.body).not.toHaveProperty("format_error");
    expect(application.engine.requests.length).toBe(2);
  });
});

describe("a model that thinks", () => {
  const template =
    "{{ range .Messages }}{{ if .Thinking }}<t>{{ .Thinking }}</t>{{ end }}{{ .Role }}:{{ .Content }}\n{{ end }}";

  test("is constrained after its thinking, and only the answer is judged", async () => {
    await application.create("thinker", { template });
    judgeAs("enforced");
    answers("<t>bad</t>good");
    const messages = [{ role: "user", content: "x" }];
    const body = { model: "thinker", messages, format: "json", stream: false };
    expect(await application.post("/api/chat", body)).toMatchObject({
      status: 200,
      body: { message: { content: "good", thinking: "bad" } },
    });
    expect(application.engine.requests[0]?.constraint?.thinking).toEqual({
      open: "<t>",
      close: "</t>",
      opened: false,
    });
    expect(checks.at(-1)?.texts).toEqual(["good"]);
  });

  test("is constrained at once when it is not to think", async () => {
    await application.create("thinker", { template });
    judgeAs("enforced");
    answers("good");
    const messages = [{ role: "user", content: "x" }];
    const body = { model: "thinker", messages, format: "json", stream: false, think: false };
    expect((await application.post("/api/chat", body)).status).toBe(200);
    expect(application.engine.requests[0]?.constraint).not.toHaveProperty("thinking");
  });
});

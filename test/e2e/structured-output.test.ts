/**
 * Structured output on the executable with the embedded model: schemas as pydantic and zod write them,
 * grammars, calls under the tools' schemas, refusals, and hostile schemas that must hurt nobody.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  cleanEnvironment,
  executable,
  haveExecutable,
  startServer,
  type TestServer,
  temporaryFolder,
} from "../support/executable.ts";

const options = { temperature: 0, num_predict: 400 };
const ask = "Tell me about yourself.";

describe.skipIf(!haveExecutable)("structured output", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  async function generate(more: Record<string, unknown>) {
    const response = await server.post("/api/generate", {
      model: "guide",
      prompt: ask,
      stream: false,
      options,
      ...more,
    });
    const body = (await response.json()) as { response?: string; error?: string };
    const level = response.headers.get("x-hutch-format-level");
    return { status: response.status, level, text: body.response ?? "", error: body.error };
  }

  test("any object", async () => {
    const { level, text } = await generate({ format: "json", options: { ...options, seed: 3 } });
    // The model may run into its limit inside a string; what is whole is an object.
    expect(level).toBe("enforced");
    expect(text.trimStart()).toStartWith("{");
  });

  test("a schema as pydantic writes it", async () => {
    const format = {
      $defs: {
        Color: { enum: ["red", "green"], title: "Color", type: "string" },
        Pet: {
          properties: {
            name: { title: "Name", type: "string", maxLength: 12 },
            color: { $ref: "#/$defs/Color" },
          },
          required: ["name", "color"],
          title: "Pet",
          type: "object",
        },
      },
      properties: {
        age: { anyOf: [{ type: "integer", minimum: 0, maximum: 99 }, { type: "null" }] },
        pets: { items: { $ref: "#/$defs/Pet" }, type: "array", minItems: 1, maxItems: 2 },
      },
      required: ["age", "pets"],
      title: "Person",
      type: "object",
    };
    const { status, level, text } = await generate({ format });
    expect({ status, level }).toEqual({ status: 200, level: "enforced" });
    const { age, pets } = JSON.parse(text) as { age: number | null; pets: { color: string }[] };
    expect(Object.keys(JSON.parse(text))).toEqual(["age", "pets"]);
    expect(age === null || (age >= 0 && age <= 99)).toBe(true);
    for (const { color } of pets) expect(["red", "green"]).toContain(color);
  });

  test("a schema as zod writes it, streamed", async () => {
    const format = {
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      properties: {
        id: { type: "string", pattern: "^[a-f]{2}-[0-9]{3}$" },
        ok: { type: "boolean" },
      },
      required: ["id", "ok"],
      additionalProperties: false,
    };
    const messages = [{ role: "user", content: ask }];
    const response = await server.post("/api/chat", { model: "guide", messages, format, options });
    const lines = (await response.text()).trim().split("\n");
    const content = lines
      .map((line) => (JSON.parse(line) as { message: { content: string } }).message.content)
      .join("");
    expect(JSON.parse(content)).toEqual({
      id: expect.stringMatching(/^[a-f]{2}-[0-9]{3}$/),
      ok: expect.any(Boolean),
    });
  });

  test("the client's own order of keys, and its own digits", async () => {
    const schema =
      '{"type":"object","properties":{"10":{"const":9007199254740992},"2":{"const":1}},"required":["10","2"]}';
    const response = await fetch(`${server.url}/api/generate`, {
      method: "POST",
      body: `{"model":"guide","prompt":"x","stream":false,"format":${schema}}`,
    });
    const { response: text } = (await response.json()) as { response: string };
    expect(text.replace(/\s/g, "")).toBe('{"10":9007199254740992,"2":1}');
  });

  test("expressions, choices, and grammars of two languages", async () => {
    expect((await generate({ regex: "[0-9]{3}-[a-c]{2}" })).text).toMatch(/^[0-9]{3}-[a-c]{2}$/);
    expect(["yes", "no"]).toContain((await generate({ choice: ["yes", "no"] })).text);
    const lark = 'start: "a" start "b" | "x"';
    const nested = (await generate({ grammar: lark })).text;
    expect(nested).toMatch(/^a*xb*$/);
    const gbnf = 'root ::= digit{2} "-" [a-c]\ndigit ::= [0-9]';
    expect((await generate({ grammar: gbnf })).text).toMatch(/^[0-9]{2}-[a-c]$/);
  });

  test("what cannot be kept is refused with place and keyword", async () => {
    const { status, error } = await generate({ format: { $ref: "http://127.0.0.1:1/x.json" } });
    expect(status).toBe(400);
    expect(error).toContain("cannot fetch");
    const not = { properties: { a: { not: { type: "string" } } } };
    const strict = await generate({ format: not, strict: true });
    expect(strict.status).toBe(400);
    expect(strict.error).toContain('at "/properties/a/not": "not"');
  });

  test("what no text can satisfy is refused, in chat and on the command line too", async () => {
    const format = { type: "object", properties: { next: { $ref: "#" } }, required: ["next"] };
    const place = 'at "/properties/next/$ref": "$ref": no text can satisfy it';
    const { status, error } = await generate({ format });
    expect(status).toBe(400);
    expect(error).toContain(place);
    const messages = [{ role: "user", content: ask }];
    const chat = await server.post("/api/chat", { model: "guide", messages, format });
    expect(chat.status).toBe(400);
    expect(await chat.text()).toContain('"$ref\\": no text can satisfy it');
    for (const same of [{ $ref: "#" }, { allOf: [{ $ref: "#" }] }, { type: "string", const: 1 }]) {
      const found = await generate({ format: same });
      expect([found.status, found.error]).toEqual([400, expect.stringContaining(" at ")]);
    }
    await using home = await temporaryFolder();
    const child = Bun.spawn([executable, "schema", "check", "false"], {
      env: cleanEnvironment(home.path),
      stdout: "pipe",
    });
    expect(await new Response(child.stdout).text()).toContain('at "#": "false": no text');
    expect(await child.exited).toBe(8);
  });

  test("a part that no text can satisfy is left out", async () => {
    const format = {
      $defs: { endless: { $ref: "#/$defs/endless" } },
      type: "object",
      properties: { a: { $ref: "#/$defs/endless" }, b: { const: 1 } },
      required: ["b"],
    };
    const { status, level, text } = await generate({ format });
    expect({ status, level, value: JSON.parse(text) }).toEqual({
      status: 200,
      level: "enforced",
      value: { b: 1 },
    });
  });

  test("hostile schemas are refused, and others are served meanwhile", async () => {
    const nested = `${'{"not":'.repeat(5000)}{}${"}".repeat(5000)}`;
    const hostile = [
      { pattern: "((a{1,1000}){1,1000}){1,1000}" },
      { type: "object", properties: { a: { type: "string", pattern: "^(?=a)b" } } },
    ].map((format) => generate({ format }));
    const raw = fetch(`${server.url}/api/generate`, {
      method: "POST",
      body: `{"model":"guide","prompt":"x","stream":false,"format":${nested}}`,
    });
    expect((await generate({ choice: ["still here"] })).text).toBe("still here");
    for (const { status } of await Promise.all(hostile)) expect(status).toBe(400);
    expect((await raw).status).toBe(400);
  });

  test("schema check tells levels and verdicts, alone and in batches", async () => {
    await using home = await temporaryFolder();
    const run = async (...words: string[]) => {
      const child = Bun.spawn([executable, "schema", "check", ...words], {
        env: cleanEnvironment(home.path),
        stdout: "pipe",
        stderr: "pipe",
      });
      const out = await new Response(child.stdout).text();
      return { out, code: await child.exited };
    };
    const good = await run('{"type":"integer"}', "7");
    expect(good).toEqual({
      out: "level: enforced\n7\n  engine: accepted\n  validator: accepted\n",
      code: 0,
    });
    const indented = `${home.path}/instance.json`;
    await Bun.write(indented, '{\n\t"a" : 1\n}\n');
    const object = '{"type":"object","properties":{"a":{"type":"integer"}}}';
    expect(await run(object, indented)).toEqual({
      out: `level: enforced\n${indented}\n  engine: accepted\n  validator: accepted\n`,
      code: 0,
    });
    expect((await run('{"type":"integer"}', '"7"')).code).toBe(5);
    expect((await run('{"type":"nosuch"}')).code).toBe(8);
    const lines = [
      { id: 1, schema: { enum: ["é"] }, tests: [{ data: "é", valid: true }, { data: "e" }] },
      { id: "two", schema: { $ref: "#/nowhere" }, tests: [{ data: 1 }] },
    ];
    const file = `${home.path}/batch.jsonl`;
    await Bun.write(file, `${lines.map((line) => JSON.stringify(line)).join("\n")}\nnonsense\n`);
    const { out, code } = await run("--batch", file);
    expect(code).toBe(0);
    expect(
      out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toMatchObject([
      { id: 1, supported: true, level: "enforced", results: [true, false] },
      { id: "two", supported: false, level: "refused", results: [false] },
      { id: 3, supported: false, error: expect.stringContaining("line 3"), results: [] },
    ]);
  });
});

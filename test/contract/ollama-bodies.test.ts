/** How bodies are read: as Go's JSON decoder reads them (api.md 1.2, 2.2). */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Application, openApplication } from "../support/application.ts";

let application: Application;
beforeAll(async () => {
  application = openApplication();
  await application.create("m");
});
afterAll(() => application[Symbol.asyncDispose]());

const routes: readonly [method: string, path: string][] = [
  ["POST", "/api/generate"],
  ["POST", "/api/chat"],
  ["POST", "/api/embed"],
  ["POST", "/api/embeddings"],
  ["POST", "/api/show"],
  ["POST", "/api/create"],
  ["POST", "/api/pull"],
  ["POST", "/api/push"],
  ["POST", "/api/copy"],
  ["DELETE", "/api/delete"],
];

async function refusal(path: string, body: string | undefined, method = "POST"): Promise<string> {
  const answer = await application.send(method, path, body);
  const { error } = (await answer.json()) as { error: string };
  return `${answer.status} ${error}`;
}

describe("a body that is no JSON", () => {
  test.each(routes)("%s %s misses an empty or blank one", async (method, path) => {
    expect(await refusal(path, undefined, method)).toBe("400 missing request body");
    expect(await refusal(path, " \r\n\t", method)).toBe("400 missing request body");
  });

  test.each([
    ['{"model":"m"', "unexpected EOF"],
    ["{", "unexpected EOF"],
    ['{"a":"\\u00', "unexpected EOF"],
    ['{"a":tr', "unexpected EOF"],
    ["model=m", "invalid character 'm' looking for beginning of value"],
    ["'x'", "invalid character '\\'' looking for beginning of value"],
    ["{model:1}", "invalid character 'm' looking for beginning of object key string"],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
    ['{"a":[1 2]}', "invalid character '2' after array element"],
    ['{"a":01}', "invalid character '1' after object key:value pair"],
    ['{"a":-}', "invalid character '}' in numeric literal"],
    ['{"a":1.}', "invalid character '}' after decimal point in numeric literal"],
    ['{"a":1e}', "invalid character '}' in exponent of numeric literal"],
    ['{"a":"\n"}', "invalid character '\\n' in string literal"],
    ['{"a":"\u0001"}', "invalid character '\\x01' in string literal"],
    ['{"a":"\\x"}', "invalid character 'x' in string escape code"],
    ['{"a":"\\u12g4"}', "invalid character 'g' in \\u hexadecimal character escape"],
    ["nope", "invalid character 'o' in literal null (expecting 'u')"],
    ["\ufeff{}", "invalid character 'ï' looking for beginning of value"],
    ["\\", "invalid character '\\\\' looking for beginning of value"],
    [`${"[".repeat(10_001)}`, "exceeded max depth"],
  ])("%p is refused in Go's words", async (body, text) => {
    expect(await refusal("/api/generate", body)).toBe(`400 ${text}`);
  });
});

describe("a value of the wrong type", () => {
  test.each([
    ["/api/generate", [], "Go value of type api.GenerateRequest", "array"],
    ["/api/generate", "text", "Go value of type api.GenerateRequest", "string"],
    ["/api/chat", true, "Go value of type api.ChatRequest", "bool"],
    ["/api/show", 5, "Go value of type api.ShowRequest", "number"],
    [
      "/api/generate",
      { stream: "yes" },
      "Go struct field GenerateRequest.stream of type bool",
      "string",
    ],
    [
      "/api/generate",
      { model: 5 },
      "Go struct field GenerateRequest.model of type string",
      "number",
    ],
    [
      "/api/generate",
      { context: [1.5] },
      "Go struct field GenerateRequest.context of type int",
      "number 1.5",
    ],
    [
      "/api/generate",
      { images: "x" },
      "Go struct field GenerateRequest.images of type []api.ImageData",
      "string",
    ],
    [
      "/api/generate",
      { options: [] },
      "Go struct field GenerateRequest.options of type map[string]interface {}",
      "array",
    ],
    [
      "/api/chat",
      { messages: "hi" },
      "Go struct field ChatRequest.messages of type []api.Message",
      "string",
    ],
    [
      "/api/chat",
      { messages: [5] },
      "Go struct field ChatRequest.messages of type api.Alias",
      "number",
    ],
    [
      "/api/chat",
      { messages: [{ role: 5 }] },
      "Go struct field ChatRequest.messages.role of type string",
      "number",
    ],
    [
      "/api/chat",
      { messages: [{ content: [{}] }] },
      "Go struct field ChatRequest.messages.content of type string",
      "array",
    ],
    ["/api/chat", { tools: "f" }, "Go struct field ChatRequest.tools of type api.Tools", "string"],
    [
      "/api/chat",
      { tools: [{ function: "f" }] },
      "Go struct field Tool.tools.function of type api.ToolFunction",
      "string",
    ],
    [
      "/api/create",
      { files: [] },
      "Go struct field CreateRequest.files of type map[string]string",
      "array",
    ],
    [
      "/api/pull",
      { insecure: "yes" },
      "Go struct field PullRequest.insecure of type bool",
      "string",
    ],
    [
      "/api/embed",
      { dimensions: "2" },
      "Go struct field EmbedRequest.dimensions of type int",
      "string",
    ],
  ])("%s %p", async (path, body, where, kind) => {
    expect(await refusal(path, JSON.stringify(body))).toBe(
      `400 json: cannot unmarshal ${kind} into ${where}`,
    );
  });

  test("arguments of a tool call that are no object", async () => {
    const messages = [{ role: "assistant", tool_calls: [{ function: { arguments: "{}" } }] }];
    expect(await refusal("/api/chat", JSON.stringify({ messages }))).toBe(
      "400 Value looks like object, but can't find closing '}' symbol",
    );
  });

  test("the first in the order of the body is named", async () => {
    expect(await refusal("/api/generate", '{"raw":1,"model":2}')).toContain("GenerateRequest.raw");
    expect(await refusal("/api/generate", '{"model":2,"raw":1}')).toContain(
      "GenerateRequest.model",
    );
  });

  test("keep_alive, think and images are read before the model is looked up", async () => {
    const wrong = [{ keep_alive: "1d" }, { think: "very" }, { images: ["data:x"] }];
    const texts = wrong.map((field) =>
      refusal("/api/generate", JSON.stringify({ model: "nosuch", ...field })),
    );
    expect(await Promise.all(texts)).toEqual([
      '400 time: unknown unit "d" in duration "1d"',
      '400 invalid think value: "very" (must be "high", "medium", "low", "max", true, or false)',
      "400 illegal base64 data at input byte 4",
    ]);
  });
});

describe("a body that is read generously", () => {
  const run = async (body: string, headers: Record<string, string> = {}) => {
    const answer = await application.send("POST", "/api/generate", body, headers);
    return ((await answer.json()) as { response: string }).response;
  };

  test.each([
    ["whatever its content type", '{"model":"m","prompt":"x","stream":false}'],
    ["with keys in any case", '{"Model":"m","PROMPT":"x","Stream":false}'],
    ["with bytes behind the first value", '{"model":"m","prompt":"x","stream":false} trailing {{{'],
    ["with the last of equal keys", '{"model":"nosuch","model":"m","prompt":"x","stream":false}'],
    ["with unknown fields", '{"model":"m","prompt":"x","stream":false,"foo":{"__proto__":1}}'],
    [
      "with null for any field",
      '{"model":"m","prompt":"x","stream":false,"suffix":null,"context":null,"options":null,"think":null,"keep_alive":null,"format":null,"images":null}',
    ],
  ])("%s", async (_, body) => {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    expect(await run(body, headers)).toBe("Hello there");
  });

  test("null inside a list is the zero value of its type", async () => {
    const body = { model: "m", messages: [null, { role: "user", content: null }], stream: false };
    const answer = await application.post("/api/chat", body);
    expect(answer.status).toBe(200);
  });

  test("a lone surrogate is replaced, not refused", async () => {
    expect(await run('{"model":"m","prompt":"\\ud83d","stream":false}')).toBe("Hello there");
  });

  test("megabytes of unknown fields do not matter", async () => {
    const body = `{"model":"m","prompt":"x","stream":false,"foo":"${"x".repeat(5_000_000)}"}`;
    expect(await run(body)).toBe("Hello there");
  });
});

describe("a name", () => {
  test.each([
    ["POST", "/api/generate", {}, "404 model '' not found"],
    ["POST", "/api/chat", {}, "400 model is required"],
    ["POST", "/api/embed", {}, "404 model '' not found"],
    ["POST", "/api/embeddings", {}, "400 model is required"],
    ["POST", "/api/show", {}, "400 model is required"],
    ["POST", "/api/create", {}, "400 invalid model name"],
    ["POST", "/api/pull", {}, "400 invalid model name"],
    ["POST", "/api/push", {}, "400 model is required"],
    ["POST", "/api/copy", {}, '400 source "" is invalid'],
    ["DELETE", "/api/delete", {}, "400 model is required"],
    ["POST", "/api/generate", { model: "a b" }, "400 invalid model name"],
    ["POST", "/api/chat", { model: "a//b" }, "400 invalid model name"],
    ["POST", "/api/show", { model: ":x" }, "400 invalid model name"],
    ["DELETE", "/api/delete", { model: "-x" }, '400 name "-x" is invalid'],
    ["POST", "/api/copy", { source: "m", destination: "-x" }, '400 destination "-x" is invalid'],
    ["POST", "/api/generate", { model: "nosuch:v1" }, "404 model 'nosuch:v1' not found"],
    ["POST", "/api/chat", { model: "u/nosuch" }, "404 model 'u/nosuch' not found"],
    [
      "POST",
      "/api/embed",
      { model: "nosuch" },
      '404 model "nosuch" not found, try pulling it first',
    ],
    ["POST", "/api/show", { model: "nosuch" }, "404 model 'nosuch:latest' not found"],
    ["DELETE", "/api/delete", { name: "nosuch" }, "404 model 'nosuch' not found"],
    ["POST", "/api/copy", { source: "nosuch", destination: "x" }, '404 model "nosuch" not found'],
    [
      "POST",
      "/api/chat",
      { model: "m:cloud" },
      "403 ollama cloud is disabled: remote model is unavailable",
    ],
    [
      "POST",
      "/api/show",
      { model: "m:cloud" },
      "403 ollama cloud is disabled: remote model details are unavailable",
    ],
  ])("%s %s %p", async (method, path, body, expected) => {
    expect(await refusal(path, JSON.stringify(body), method)).toBe(expected);
  });
});

describe("of several wrong values", () => {
  const field = (name: string, kind: string, type: string) =>
    `400 json: cannot unmarshal ${kind} into Go struct field ${name} of type ${type}`;

  test.each([
    [
      "the first one counts",
      "/api/generate",
      { stream: 1, prompt: [], raw: "yes" },
      field("GenerateRequest.stream", "number", "bool"),
    ],
    [
      "one with a decoder of its own goes before all plain ones",
      "/api/generate",
      { stream: 1, think: 5, keep_alive: [] },
      '400 think must be a boolean or string ("high", "medium", "low", "max", true, or false)',
    ],
    [
      "keep_alive is such a one, on every route",
      "/api/embeddings",
      { prompt: 5, keep_alive: "soon" },
      '400 time: invalid duration "soon"',
    ],
    [
      "messages are read by one: the first mistake inside counts",
      "/api/chat",
      { stream: [], messages: [{ role: "user" }, { content: 1, tool_name: {} }], think: 5 },
      field("ChatRequest.messages.content", "number", "string"),
    ],
    [
      "images inside them too",
      "/api/chat",
      { stream: [], messages: [{ role: "user", images: ["?"] }] },
      "400 illegal base64 data at input byte 0",
    ],
    [
      "values of a map are fields",
      "/api/create",
      { model: 1, adapters: { a: 1 } },
      field("CreateRequest.model", "number", "string"),
    ],
    [
      "a number too large for an integer is none",
      "/api/embed",
      { model: "-x", dimensions: 12_345_678_901_234_567_000 },
      field("EmbedRequest.dimensions", "number 12345678901234567000", "int"),
    ],
  ])("%s", async (_, path, body, text) => {
    expect(await refusal(path, JSON.stringify(body))).toBe(text);
  });

  const tool = (parameters: unknown) => ({
    model: "m",
    tools: [{ type: 1, function: { name: "f", parameters } }],
  });
  const inside = "ToolFunctionParameters.tools.function.parameters";
  test.each([
    [
      "as a plain one of a tool",
      tool({ required: 1 }),
      field("Tool.tools.type", "number", "string"),
    ],
    [
      "but those of a tool's properties first",
      tool({ properties: { a: { type: ["string", 1] }, b: 1 } }),
      field(`${inside}.properties.type`, "number", "string"),
    ],
    [
      "however deep",
      tool({ properties: { a: { type: "object", properties: { b: { enum: "x" } } } } }),
      field(`${inside}.properties.properties.enum`, "string", "[]interface {}"),
    ],
    [
      "and a map that is none",
      tool({ properties: [] }),
      "400 Value looks like object, but can't find closing '}' symbol",
    ],
  ])("counts %s", async (_, body, text) => {
    expect(await refusal("/api/chat", JSON.stringify(body))).toBe(text);
  });

  test("a map's values have a type", async () => {
    const body = { model: "x", from: "m", adapters: { a: 1 } };
    expect(await refusal("/api/create", JSON.stringify(body))).toBe(
      field("CreateRequest.adapters", "number", "string"),
    );
  });
});

describe("names in errors", () => {
  test("are quoted as Go quotes them", async () => {
    const body = { source: "m", destination: "a\nb\u0000" };
    expect(await refusal("/api/copy", JSON.stringify(body))).toBe(
      '400 destination "a\\nb\\x00" is invalid',
    );
  });

  test("of a model to make are judged before its licence", async () => {
    expect(await refusal("/api/create", '{"model":"-x","from":"m","license":1}')).toBe(
      "400 invalid model name",
    );
    expect(await refusal("/api/create", '{"model":"x","from":"m","license":1}')).toBe(
      "500 json: cannot unmarshal number into Go value of type []string",
    );
    expect(await refusal("/api/create", '{"model":"x\\n","from":"m"}')).toBe(
      "400 invalid model name",
    );
  });
});

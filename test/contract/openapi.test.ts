/** `/openapi.json`: a valid document that says all of the routes, and what hutch answers fits it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import { type Application, openApplication } from "../support/application.ts";
import { document, faults, operationFor, schemaOf } from "../support/openapi.ts";

let application: Application;
beforeAll(async () => {
  application = openApplication();
  await application.create("m");
});
afterAll(() => application[Symbol.asyncDispose]());

/** Asks and holds the answer against the document. Returns its objects. */
async function checked(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<unknown[]> {
  const response = await application.send(method, path, body, headers);
  const type = (response.headers.get("content-type") ?? "").split(";")[0] ?? "";
  const operation = operationFor(method, path);
  if (operation === undefined) throw new Error(`${method} ${path} is not documented`);
  const schema = schemaOf(operation, response.status, type);
  const text = await response.text();
  const parts = type === "application/x-ndjson" ? text.trimEnd().split("\n") : [text];
  const objects = parts.map((part) => JSON.parse(part) as unknown);
  for (const object of objects) expect(faults(schema, object)).toEqual([]);
  return objects;
}

describe("/openapi.json", () => {
  test("is a valid OpenAPI document", async () => {
    const response = await application.send("GET", "/openapi.json");
    expect(response.headers.get("content-type")).toBe("application/json");
    const { valid, errors } = await new Validator().validate(await response.text());
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
  });

  test("describes every route, and no other", () => {
    const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const served = application.app.routes.map(
      ({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`,
    );
    expect(documented.toSorted()).toEqual(served.toSorted());
  });

  test("names every operation once", () => {
    const ids = Object.values(document.paths).flatMap((operations) =>
      Object.values(operations).map(
        (operation) => (operation as { operationId?: string }).operationId,
      ),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("names every header of hutch's own that the source reads or writes", async () => {
    const sources = new Bun.Glob("src/**/*.ts").scan(join(import.meta.dir, "../.."));
    const used = new Set<string>();
    for await (const file of sources) {
      const text = await Bun.file(join(import.meta.dir, "../..", file)).text();
      for (const [name] of text.matchAll(/x-hutch-[a-z-]+/gi)) used.add(name.toLowerCase());
    }
    expect(used.size).toBeGreaterThan(10);
    const told = JSON.stringify(document).toLowerCase();
    expect([...used].filter((name) => !told.includes(name))).toEqual([]);
  });

  test("tells nothing of our own annotations", () => {
    expect(JSON.stringify(document)).not.toMatch(/"(go|refusal|struct|keepsText)":/);
  });
});

describe("what hutch answers fits the document", () => {
  const extras = { "x-hutch-extras": "1" };
  const messages = [{ role: "user", content: "hello" }];

  test("chat and generate, as lines and as one object, with the fields of hutch's own", async () => {
    const chat = { model: "m", messages, logprobs: true, top_logprobs: 2 };
    expect((await checked("POST", "/api/chat", chat, extras)).length).toBeGreaterThan(1);
    await checked("POST", "/api/chat", { ...chat, stream: false }, extras);
    const generate = { model: "m", prompt: "hello" };
    expect((await checked("POST", "/api/generate", generate, extras)).length).toBeGreaterThan(1);
    await checked("POST", "/api/generate", { ...generate, stream: false }, extras);
  });

  test("lists", async () => {
    await checked("GET", "/api/tags");
    const [ps] = await checked("GET", "/api/ps", undefined, extras);
    expect(ps).toMatchObject({ models: [{ state: "running", queue: 0 }], loading: [] });
    await checked("GET", "/api/version");
    await checked("GET", "/api/status");
    await checked("GET", "/api/experimental/model-recommendations");
  });

  test("show and create", async () => {
    await checked("POST", "/api/show", { model: "m", verbose: true });
    const create = { model: "n", from: "m", system: "Be short." };
    expect((await checked("POST", "/api/create", create)).length).toBeGreaterThan(1);
    await checked("POST", "/api/create", { ...create, stream: false });
  });

  test("errors", async () => {
    for (const path of ["generate", "chat", "show", "create", "copy", "embed", "pull", "push"]) {
      await checked("POST", `/api/${path}`, {});
    }
    await checked("POST", "/api/chat", { model: "nobody", messages });
    await checked("POST", "/api/me", {});
    await checked("POST", "/v1/chat/completions", { messages });
    await checked("GET", "/v1/models");
  });
});

test("a wrong body is found", () => {
  const operation = operationFor("GET", "/api/version");
  if (operation === undefined) throw new Error("no operation");
  const schema = schemaOf(operation, 200, "application/json");
  expect(faults(schema, { version: 1 })).toHaveLength(1);
  expect(faults(schema, { version: "1", more: true })).toHaveLength(1);
});

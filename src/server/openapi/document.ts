/** Makes the OpenAPI document of the list of operations and the TypeBox schemas. Pure. */
import {
  type Answer,
  answerHeaders,
  type Component,
  components,
  type Operation,
  operations,
  requestHeaders,
} from "./operations.ts";

/** Annotations that our own readers of bodies use. */
const ownNotes = new Set(["go", "inside", "own", "check", "refusal", "struct", "keepsText"]);

const names = new Map<unknown, string>(
  Object.entries(components).map(([name, schema]) => [schema, name]),
);

function reference(name: string): object {
  return { $ref: `#/components/schemas/${name}` };
}

/** A schema as plain JSON; shapes that have a name become references. @param top not itself */
function plain(value: unknown, top = false): unknown {
  if (Array.isArray(value)) return value.map((item) => plain(item));
  if (typeof value !== "object" || value === null) return value;
  const name = top ? undefined : names.get(value);
  if (name !== undefined) return reference(name);
  const kept = Object.entries(value).filter(([key]) => !ownNotes.has(key));
  return Object.fromEntries(kept.map(([key, item]) => [key, plain(item)]));
}

const errorTexts: Readonly<Record<number, string>> = {
  400: "The request is wrong.",
  401: "Nobody is signed in.",
  403: "It would need ollama.com, or comes from a forbidden origin.",
  404: "The model or blob is not there.",
  409: "It is not what was expected: a digest or an upload differs.",
  500: "It failed; the text says why.",
  501: "This version cannot do it.",
  503: "Too many requests wait, or the server is ending: try again after `Retry-After` seconds.",
  504: "A deadline of the request or of the server is over.",
};

/** Headers that answers of every route may have. */
const sharedHeaders = {
  "X-Request-Id": "The request's own, or a new one; the log has it too.",
  "X-Hutch-Fake": "`true` where no model answers: `hutch serve --fake`.",
  "X-Hutch-Error": "The kind of an error, in one word.",
} as const;

function shared(...headers: (keyof typeof sharedHeaders)[]): Record<string, object> {
  return Object.fromEntries(
    headers.map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );
}

function errorResponse(status: number, body: Operation["errorBody"] = "Error"): object {
  const description = errorTexts[status] ?? "It failed.";
  const always = shared("X-Request-Id", "X-Hutch-Fake", "X-Hutch-Error");
  if (body === "none") return { description, headers: always };
  const content = { "application/json": { schema: reference(body) } };
  const retry = { "Retry-After": { schema: { type: "integer" } } };
  return { description, headers: { ...always, ...(status === 503 ? retry : {}) }, content };
}

function goodResponse({ description, json, lines, text, headers = [] }: Answer): object {
  const line = (of: Component) => ({ anyOf: [reference(of), reference("Error")] });
  const content = {
    ...(lines === undefined ? {} : { "application/x-ndjson": { schema: line(lines) } }),
    ...(json === undefined ? {} : { "application/json": { schema: reference(json) } }),
    ...(text === undefined
      ? {}
      : { [text]: { schema: text === "text/plain" ? { type: "string" } : { type: "object" } } }),
  };
  const told = headers.map((name) => [
    name,
    { description: answerHeaders[name], schema: { type: "string" } },
  ]);
  return {
    description,
    headers: { ...shared("X-Request-Id", "X-Hutch-Fake"), ...Object.fromEntries(told) },
    ...(Object.keys(content).length === 0 ? {} : { content }),
  };
}

function parametersOf(path: string, { headers = [] }: Operation): object[] {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    description: name === "digest" ? "`sha256:` and 64 hex digits" : "",
    schema: { type: "string" },
  }));
  const inHeader = headers
    .flatMap((set) => Object.entries(requestHeaders[set]))
    .map(([name, description]) => ({
      name,
      in: "header",
      required: name === "Content-Range",
      description,
      schema: { type: "string" },
    }));
  return [...inPath, ...inHeader];
}

function bodyOf({ body }: Operation): object | undefined {
  if (body === undefined) return undefined;
  const content =
    body === "bytes"
      ? { "application/octet-stream": { schema: { type: "string", format: "binary" } } }
      : { "application/json": { schema: reference(body) } };
  return { required: true, content };
}

function operationOf(key: string, path: string, operation: Operation): object {
  const parameters = parametersOf(path, operation);
  const requestBody = bodyOf(operation);
  const good = Object.entries(operation.answers).map(([status, answer]) => [
    status,
    goodResponse(answer),
  ]);
  const bad = (operation.errors ?? []).map((status) => [
    String(status),
    errorResponse(status, operation.errorBody),
  ]);
  const id = key.toLowerCase().replace(/[^a-z0-9]+(\w?)/g, (_, next: string) => next.toUpperCase());
  return {
    operationId: id,
    summary: operation.summary,
    tags: [operation.tag],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(requestBody === undefined ? {} : { requestBody }),
    responses: Object.fromEntries([...good, ...bad]),
  };
}

const about = `Ollama's HTTP API with hutch's additions; what is only hutch's says so.

Bodies are read as Ollama reads them: the content type is not looked at, names of members may be in any
case, unknown ones are ignored, null counts as absent. A stream is \`application/x-ndjson\`: one object a
line. What goes wrong before the first line has its status; afterwards the last line is an \`Error\`.
Unknown paths get
404, known ones with another method 405, both as text; requests of foreign origins or host names 403.`;

function headersOf(): Record<string, object> {
  return Object.fromEntries(
    Object.entries(sharedHeaders).map(([name, description]) => [
      name,
      { description, schema: { type: "string" } },
    ]),
  );
}

/** @param version of hutch */
export function openApiDocument(version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const [key, operation] of Object.entries(operations)) {
    const [method = "", path = ""] = key.split(" ");
    const templated = path.replace(/:(\w+)/g, "{$1}");
    paths[templated] ??= {};
    paths[templated][method.toLowerCase()] = operationOf(key, path, operation);
  }
  const schemas = Object.entries(components).map(([name, schema]) => [name, plain(schema, true)]);
  return {
    openapi: "3.1.1",
    info: {
      title: "hutch",
      version,
      description: about,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    tags: [
      { name: "inference", description: "Answers and vectors" },
      { name: "models", description: "Models at rest and loaded" },
      { name: "operations", description: "For those who run a server" },
      { name: "hutch", description: "Routes of hutch's own" },
      { name: "unavailable", description: "Known paths that this version does not serve" },
    ],
    paths,
    components: { schemas: Object.fromEntries(schemas), headers: headersOf() },
  };
}

/** Paths, methods, Origin and Host as Ollama's API answers them, through the application (api.md 1). */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Application, openApplication } from "../support/application.ts";

let application: Application;
beforeAll(() => {
  application = openApplication({ guardHosts: true });
});
afterAll(() => application[Symbol.asyncDispose]());

/** Status, the headers named, and the text of an answer. */
async function answer(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  shown: readonly string[] = ["content-type", "allow"],
): Promise<Record<string, unknown>> {
  const response = await application.send(method, path, undefined, headers);
  const kept = shown.flatMap((name) => {
    const value = response.headers.get(name);
    return value === null ? [] : [[name, value]];
  });
  return { status: response.status, ...Object.fromEntries(kept), text: await response.text() };
}

describe("routes", () => {
  test("every path of the API is there with its methods", () => {
    const known = application.app.routes.map(({ method, path }) => `${method} ${path}`);
    expect(known.toSorted()).toEqual(
      [
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        "GET /openapi.json",
        "GET /",
        "HEAD /",
        "GET /api/version",
        "HEAD /api/version",
        "GET /api/tags",
        "HEAD /api/tags",
        "GET /api/ps",
        "GET /api/status",
        "POST /api/show",
        "POST /api/generate",
        "POST /api/chat",
        "POST /api/embed",
        "POST /api/embeddings",
        "POST /api/create",
        "POST /api/copy",
        "DELETE /api/delete",
        "HEAD /api/blobs/:digest",
        "HEAD /api/hutch/uploads/:digest",
        "PATCH /api/hutch/uploads/:digest",
        "POST /api/blobs/:digest",
        "POST /api/pull",
        "POST /api/push",
        "POST /api/me",
        "POST /api/signout",
        "DELETE /api/user/keys/:key",
        "POST /api/experimental/web_search",
        "POST /api/experimental/web_fetch",
        "GET /api/experimental/model-recommendations",
        "POST /v1/chat/completions",
        "POST /v1/completions",
        "POST /v1/embeddings",
        "POST /v1/responses",
        "POST /v1/audio/transcriptions",
        "POST /v1/messages",
        "GET /v1/models",
        "GET /v1/models/:model",
      ].toSorted(),
    );
  });

  test("the root says that it runs", async () => {
    const running = { status: 200, "content-type": "text/plain; charset=utf-8" };
    expect(await answer("GET", "/")).toEqual({ ...running, text: "Ollama is running" });
    expect((await answer("HEAD", "/")).status).toBe(200);
  });

  test("plain JSON has a charset and no newline at its end", async () => {
    expect(await answer("GET", "/api/version?x=1")).toEqual({
      status: 200,
      "content-type": "application/json; charset=utf-8",
      text: '{"version":"0.33.0"}',
    });
  });

  test("nothing contacts ollama.com", async () => {
    expect(await answer("GET", "/api/status", {}, [])).toEqual({
      status: 200,
      text: '{"cloud":{"disabled":true,"source":"env"}}',
    });
    const web = await application.post("/api/experimental/web_search", { query: "x" });
    expect(web).toEqual({
      status: 403,
      body: { error: "ollama cloud is disabled: web search is unavailable" },
    });
    expect(await answer("POST", "/api/experimental/web_fetch", {}, [])).toEqual({
      status: 400,
      text: '{"error":"missing request body"}',
    });
  });

  test.each(["/nosuch", "/api", "/api/", "/API/tags", "/v1", "/api/blobs/", "/api/blobs/a/b"])(
    "GET %s is unknown",
    async (path) => {
      const unknown = { status: 404, "content-type": "text/plain", text: "404 page not found" };
      expect(await answer("GET", path)).toEqual(unknown);
    },
  );

  test.each([
    ["GET", "/api/show", "POST"],
    ["POST", "/api/tags", "HEAD, GET"],
    ["POST", "/api/delete", "DELETE"],
    ["PUT", "/", "HEAD, GET"],
    ["PATCH", "/api/ps", "GET"],
    ["GET", "/api/blobs/sha256:0", "HEAD, POST"],
    ["DELETE", "/v1/models/a", "GET"],
  ])("%s %s is a wrong method", async (method, path, allow) => {
    expect(await answer(method, path)).toEqual({
      status: 405,
      "content-type": "text/plain",
      allow,
      text: "405 method not allowed",
    });
  });

  test("HEAD is not GET where the API does not have it", async () => {
    const { status, allow } = await answer("HEAD", "/api/ps");
    expect([status, allow]).toEqual([405, "GET"]);
  });

  test.each([
    "//api/version",
    "/api//version",
    "/api/version/",
    "/api/./version",
    "/api/%76ersion",
  ])("%s is answered in place", async (path) => {
    expect(await answer("GET", path, {}, [])).toEqual({
      status: 200,
      text: '{"version":"0.33.0"}',
    });
  });

  test("a POST with doubled and trailing slashes keeps its body", async () => {
    expect(await application.post("//api//show/", { model: "nosuch" })).toEqual({
      status: 404,
      body: { error: "model 'nosuch:latest' not found" },
    });
  });

  test("bad percent escapes are an error of the client", async () => {
    const { status, text } = await answer("POST", "/api/blobs/sha256%zz");
    expect([status, text]).toEqual([400, '{"error":"invalid digest format"}']);
  });
});

describe("origins", () => {
  const cors = ["access-control-allow-origin", "vary"];

  test("a page on this machine may ask, and is named in the answer", async () => {
    const origin = "http://localhost:3000";
    expect(await answer("GET", "/nosuch", { origin }, cors)).toEqual({
      status: 404,
      "access-control-allow-origin": origin,
      vary: "Origin",
      text: "404 page not found",
    });
  });

  test("any other page is refused without a word, before any handler", async () => {
    const response = await application.send("POST", "/api/show", "{", {
      origin: "http://example.com",
    });
    expect([response.status, await response.text()]).toEqual([403, ""]);
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("a preflight is answered with what is allowed", async () => {
    const origin = "app://obsidian.md";
    const names = [...cors, "allow", "access-control-max-age", "access-control-allow-methods"];
    expect(await answer("OPTIONS", "/api/chat", { origin }, names)).toEqual({
      status: 204,
      allow: "POST",
      "access-control-allow-origin": origin,
      "access-control-allow-methods": "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS",
      "access-control-max-age": "43200",
      vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
      text: "",
    });
  });

  test("without CORS headers for the server's own pages", async () => {
    const headers = { origin: "http://127.0.0.1:9", host: "127.0.0.1:9" };
    const own = await answer("GET", "/api/version", headers, cors);
    expect(own).toEqual({ status: 200, text: '{"version":"0.33.0"}' });
  });
});

describe("hosts", () => {
  test.each([
    "localhost:11434",
    "LOCALHOST",
    "127.1.2.3:80",
    "[::1]:11434",
    "10.0.0.5",
    "my.local",
  ])("%s may be asked for", async (host) => {
    expect((await answer("GET", "/api/version", { host })).status).toBe(200);
  });

  test.each([
    "example.com",
    "8.8.8.8",
    "localhost.example.com",
    "internal",
    "127.0.0.1.nip.example",
  ])("%s is refused without a word", async (host) => {
    expect(await answer("GET", "/nosuch", { host })).toEqual({ status: 403, text: "" });
  });

  test("OPTIONS is short under a name and a wrong method under an address", async () => {
    const named = await answer("OPTIONS", "/api/chat", { host: "localhost" });
    expect(named).toEqual({ status: 204, allow: "POST", text: "" });
    expect((await answer("OPTIONS", "/api/chat", { host: "127.0.0.1" })).status).toBe(405);
  });

  test("a refused host still learns of its allowed origin", async () => {
    const headers = { host: "example.com", origin: "http://localhost" };
    const refused = await answer("GET", "/", headers, ["access-control-allow-origin"]);
    expect(refused).toEqual({
      status: 403,
      "access-control-allow-origin": "http://localhost",
      text: "",
    });
  });
});

/** The client of the HTTP API: what it makes of answers that no model server gives. */
import { expect, test } from "bun:test";
import { Client } from "../../../src/cli/client.ts";
import { ServerError } from "../../../src/errors.ts";

/** A client of a server that always answers the same. */
const answering = (text: string, status = 200) =>
  new Client("http://localhost", async () => new Response(text, { status }));

test("a page of a proxy is an error that quotes it, not a failure to parse", async () => {
  const page = "<html>Please log in</html>";
  const told = new ServerError(`the server answered no JSON object: ${page}`, 200);
  await expect(answering(page).call("GET", "/api/tags")).rejects.toEqual(told);
  await expect(answering("[1]").call("GET", "/api/tags")).rejects.toBeInstanceOf(ServerError);
  await expect(answering(`${page}\n`).stream("/api/pull", {}).next()).rejects.toEqual(told);
});

test("an error without the server's form is told as it is", async () => {
  await expect(answering("gateway is down", 502).call("GET", "/")).rejects.toThrow(
    "gateway is down",
  );
  await expect(answering('{"error":"busy"}', 503).call("GET", "/")).rejects.toThrow("busy");
  await expect(answering('{"error":5}', 500).call("GET", "/")).rejects.toThrow('{"error":5}');
});

test("an exchange gives whatever came", async () => {
  const { signal } = new AbortController();
  const exchange = (text: string) => answering(text).exchange("GET", "/", undefined, signal);
  expect(await exchange('{"a":1}')).toEqual({ status: 200, body: { a: 1 } });
  expect(await exchange("plain")).toEqual({ status: 200, body: "plain" });
});

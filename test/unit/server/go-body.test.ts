/** A route's body in Go's words: also what only its schema knows. */
import { expect, test } from "bun:test";
import { Type as t } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { goBody } from "../../../src/server/ollama/go-body.ts";

const Body = t.Object({ count: t.Optional(t.Number({ minimum: 5, go: "float64" })) });
const app = new Elysia()
  .onError(
    ({ error }) => new Response(error instanceof Error ? error.message : "", { status: 400 }),
  )
  .post("/count", ({ body }) => Response.json(body), goBody("CountRequest", Body));

async function post(body: string): Promise<[number, string]> {
  const answer = await app.handle(new Request("http://localhost/count", { method: "POST", body }));
  return [answer.status, await answer.text()];
}

test("a body reaches its route in canonical form, or is refused by readers or schema", async () => {
  expect(await post('{"COUNT": 9, "other": 1} and more')).toEqual([200, '{"count":9}']);
  expect(await post("null")).toEqual([200, "{}"]);
  expect(await post('{"count": 3}')).toEqual([400, "the request has a field of a wrong type"]);
  expect(await post('{"count": "9"}')).toEqual([
    400,
    "json: cannot unmarshal string into Go struct field CountRequest.count of type float64",
  ]);
  expect(await post(" ")).toEqual([400, "missing request body"]);
});

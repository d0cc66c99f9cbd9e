/** Cassettes: what was recorded is answered again, piece by piece. */
import { describe, expect, test } from "bun:test";
import {
  bodyOf,
  Cassette,
  type Exchange,
  parseCassette,
} from "../../../src/cli/cassette/format.ts";
import { recorder } from "../../../src/cli/cassette/record.ts";
import { replayer } from "../../../src/cli/cassette/replay.ts";
import { UsageError } from "../../../src/errors.ts";

const at = (path: string, body?: unknown, init: RequestInit = {}) =>
  new Request(`http://test${path}`, {
    method: body === undefined ? "GET" : "POST",
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...init,
  });

/** A server that counts its answers and streams them in two pieces. */
function upstream() {
  let count = 0;
  return async (url: string, init: RequestInit) => {
    if (init.method === "HEAD") return new Response(null, { status: 200 });
    const pieces = [`{"answer":${++count},`, `"of":"${new URL(url).pathname}"}\n`];
    async function* stream() {
      for (const piece of pieces) {
        yield new TextEncoder().encode(piece);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    return new Response(stream(), { headers: { "content-type": "application/x-ndjson" } });
  };
}

async function record(
  requests: readonly Request[],
): Promise<{ texts: string[]; tape: Exchange[] }> {
  const tape: Exchange[] = [];
  const proxy = recorder("http://up", upstream(), (exchange) => tape.push(exchange));
  const texts: string[] = [];
  for (const request of requests) texts.push(await (await proxy(request)).text());
  return { texts, tape };
}

describe("a cassette", () => {
  test("answers as the server did: text, type, pieces; the second time with the second answer", async () => {
    const chat = { model: "m", messages: [{ role: "user", content: "Hi" }] };
    const { texts, tape } = await record([
      at("/api/chat", chat),
      at("/api/chat", chat),
      at("/api/tags"),
    ]);
    const read = parseCassette(tape.map((line) => JSON.stringify(line)).join("\n"), "f");
    const play = replayer(new Cassette(read), false);
    const other = { messages: chat.messages, model: "m" };
    const answers = [
      await play(at("/api/chat", other)),
      await play(at("/api/chat", chat)),
      await play(at("/api/chat", chat)),
      await play(at("/api/tags")),
    ];
    const [first, second, third] = texts;
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(
      [first, second, second, third].map(String),
    );
    expect(answers[0]?.headers.get("content-type")).toBe("application/x-ndjson");
    expect(tape.map(({ pieces }) => pieces.length)).toEqual([2, 2, 2]);
  });

  test("says what it lacks, and never with 404", async () => {
    const answer = await replayer(new Cassette([]), false)(at("/api/chat", { model: "m" }));
    expect({ status: answer.status, body: await answer.json() }).toEqual({
      status: 500,
      body: { error: 'not in the cassette: POST /api/chat {"model":"m"}' },
    });
  });

  test("keeps no answer that broke off", async () => {
    const tape: Exchange[] = [];
    async function* broken() {
      yield new TextEncoder().encode("half");
      throw new Error("gone");
    }
    const proxy = recorder(
      "http://up",
      async () => new Response(broken()),
      (line) => tape.push(line),
    );
    await expect((await proxy(at("/api/chat", {}))).text()).rejects.toThrow();
    expect(tape).toEqual([]);
  });

  test("keeps uploads by their digest, answers without a body as they are", async () => {
    expect(bodyOf(new Uint8Array([0xff, 0]))).toEqual({
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const { tape } = await record([at("/", undefined, { method: "HEAD" })]);
    expect(tape).toEqual([
      { request: "HEAD /", body: null, status: 200, contentType: "", pieces: [] },
    ]);
    expect(
      (await replayer(new Cassette(tape), false)(at("/", undefined, { method: "HEAD" }))).status,
    ).toBe(200);
  });

  test("is refused with the line that does not fit", () => {
    expect(() => parseCassette("{", "f")).toThrow(new UsageError('read "f": line 1 is no JSON'));
    expect(() => parseCassette('{"request":1}', "f")).toThrow('read "f": line 1/');
  });
});

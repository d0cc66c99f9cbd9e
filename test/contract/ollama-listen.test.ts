/** The application on a real socket: binding, slow readers, clients that leave, stopping. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { parseHost } from "../../src/config/host.ts";
import { ConfigError } from "../../src/errors.ts";
import { type Listener, listen } from "../../src/server/listen.ts";
import { type Application, openApplication } from "../support/application.ts";
import { until } from "../support/executable.ts";

let application: Application;
let listener: Listener;
beforeEach(async () => {
  application = openApplication();
  await application.create("m");
  listener = listen(application.app, parseHost("127.0.0.1:0"));
});
afterEach(async () => {
  await listener.stop();
  await application[Symbol.asyncDispose]();
});

const loaded = async () => {
  const answer = await application.send("GET", "/api/ps");
  return ((await answer.json()) as { models: unknown[] }).models.length;
};

/** A connection that has sent a request and reads nothing yet. */
function send(path: string, body: unknown): Socket {
  const text = JSON.stringify(body);
  const socket = connect(listener.port, "127.0.0.1");
  socket.pause();
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
  );
  return socket;
}

/** Everything that arrives until the other side closes or the text comes. */
function received(socket: Socket, end: string): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
      if (text.includes(end)) resolve(text);
    });
    socket.on("close", () => resolve(text));
    socket.resume();
  });
}

describe("binding", () => {
  test("a port that is taken is an error in the words that people search for", () => {
    const { port } = listener;
    const again = () => listen(application.app, parseHost(`127.0.0.1:${port}`));
    expect(again).toThrow(ConfigError);
    expect(again).toThrow(`listen tcp 127.0.0.1:${port}: bind: address already in use`);
  });

  test("port 0 is any free one, and its number is told", () => {
    expect(listener.port).toBeGreaterThan(0);
  });

  test("a request without a host is answered", async () => {
    const socket = connect(listener.port, "127.0.0.1");
    socket.write("GET /api/experimental/model-recommendations HTTP/1.0\r\n\r\n");
    expect(await received(socket, "]}")).toContain('{"recommendations":[]}');
  });

  test.each([
    ["::1", "200 OK"],
    ["127.0.0.1:port", "200 OK"],
    ["300.1.1.1", "403 Forbidden"],
    ["[", "403 Forbidden"],
    ["shop:one:two", "403 Forbidden"],
  ])("a host that no URL can have, %p, is judged like others", async (host, status) => {
    await using guarded = openApplication({ guardHosts: true });
    const own = listen(guarded.app, parseHost("127.0.0.1:0"));
    const socket = connect(own.port, "127.0.0.1");
    const path = "/api//version?at=//x";
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    expect((await received(socket, "never")).split("\r\n")[0]).toBe(`HTTP/1.1 ${status}`);
    await own.stop();
  });
});

describe("a stream", () => {
  test("goes out in chunks, line by line", async () => {
    const held = Promise.withResolvers<void>();
    application.engine.answers = [{ steps: ["a", held.promise, "b"] }];
    const socket = send("/api/generate", { model: "m", prompt: "x" });
    const first = await received(socket, '"response":"a"');
    expect(first.toLowerCase()).toContain("transfer-encoding: chunked");
    expect(first.toLowerCase()).toContain("content-type: application/x-ndjson\r\n");
    held.resolve();
    expect(await received(socket, "\r\n0\r\n\r\n")).toContain('"done":true');
    socket.destroy();
  });

  test("that is over at once is chunked too", async () => {
    const socket = send("/api/generate", { model: "m", prompt: "x" });
    const text = await received(socket, "\r\n0\r\n\r\n");
    expect(text.toLowerCase()).toContain("transfer-encoding: chunked");
    socket.destroy();
  });

  test("waits for a slow reader instead of filling the memory", async () => {
    const word = "word ".repeat(2000);
    application.engine.answers = [{ steps: Array.from({ length: 5000 }, () => word) }];
    const socket = send("/api/generate", { model: "m", prompt: "x", keep_alive: 0 });
    let before = -1;
    await until("the server waits for its reader", async () => {
      const { taken } = application.engine;
      if (taken > 0 && taken === before) return true;
      before = taken;
      await Bun.sleep(100);
      return false;
    });
    // 50 MB would be the whole; sockets hold a few.
    expect(application.engine.taken).toBeLessThan(2500);
    socket.destroy();
    await until("the run has ended", () => application.engine.canceled === 1);
    await until("the model is unloaded", async () => (await loaded()) === 0);
  });

  test("ends its run at once when the client goes away", async () => {
    application.engine.answers = [{ steps: ["a", new Promise(() => {})] }];
    const socket = send("/api/generate", { model: "m", prompt: "x", keep_alive: 0 });
    await received(socket, '"response":"a"');
    const since = performance.now();
    socket.destroy();
    await until("the run has ended", () => application.engine.canceled === 1);
    expect(performance.now() - since).toBeLessThan(250);
    await until("the model is unloaded", async () => (await loaded()) === 0);
  });
});

test("a client that goes away while its model loads ends the load", async () => {
  let signal: AbortSignal | undefined;
  application.engine.onLoad = (_, aborted) => {
    signal = aborted;
    return new Promise((_, reject) => {
      aborted.addEventListener("abort", () => reject(aborted.reason));
    });
  };
  const socket = send("/api/chat", { model: "m" });
  await until("the load has begun", () => signal !== undefined);
  socket.destroy();
  await until("the load is aborted", () => signal?.aborted === true);
});

test("a client that goes away before its answer ends the run", async () => {
  application.engine.answers = [{ steps: ["a", new Promise(() => {})] }];
  const socket = send("/api/chat", {
    model: "m",
    messages: [{ role: "user", content: "x" }],
    stream: false,
  });
  await until("the run has begun", () => application.engine.requests.length === 1);
  socket.destroy();
  await until("the run has ended", () => application.engine.canceled === 1);
});

test("stopping cuts open connections and ends their runs", async () => {
  application.engine.answers = [{ steps: ["a", new Promise(() => {})] }];
  const socket = send("/api/generate", { model: "m", prompt: "x" });
  await received(socket, '"response":"a"');
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await listener.stop();
  await closed;
  await until("the run has ended", () => application.engine.canceled === 1);
});

test("a blob of any size goes to disk as it arrives", async () => {
  const chunk = new Uint8Array(1 << 20).fill(1);
  const hasher = new Bun.CryptoHasher("sha256");
  const megabytes = 300;
  for (let i = 0; i < megabytes; i++) hasher.update(chunk);
  // What other tests left behind must not be taken for this one's.
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  let most = before;
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      most = Math.max(most, process.memoryUsage().rss);
      if (sent++ < megabytes) controller.enqueue(chunk);
      else controller.close();
    },
  });
  const digest = `sha256:${hasher.digest("hex")}`;
  const url = `http://127.0.0.1:${listener.port}/api/blobs/${digest}`;
  const answer = await fetch(url, { method: "POST", body });
  expect(answer.status).toBe(201);
  // Client and server share this process; half of the blob would be far too much.
  expect((most - before) / 2 ** 20).toBeLessThan(megabytes / 2);
});

/** The executable is killed in the middle of a slow download: what it hashed is not read again. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { haveExecutable, startServer, temporaryFolder, until } from "../support/executable.ts";
import { ranged, sha256, startFakeRegistry } from "../support/fake-registry.ts";

const mebibyte = 2 ** 20;
const big = new Uint8Array(6 * mebibyte).map((_, i) => (i * 2654435761) >>> 24);
const digest = sha256(big);
const sentAtFirst = 5 * mebibyte;

/** The blob's first bytes at a home line's pace, and then silence. */
function slowStart(): Response {
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (at >= sentAtFirst) return new Promise<void>(() => {});
      await Bun.sleep(30); // the line's pace, not a wait for a condition
      controller.enqueue(big.slice(at, at + 65_536));
      at += 65_536;
    },
  });
  const headers = { "content-range": `bytes 0-${big.length - 1}/${big.length}` };
  return new Response(body, { status: 206, headers });
}

test.skipIf(!haveExecutable)(
  "a killed download goes on with the hash that was saved",
  async () => {
    await using folder = await temporaryFolder();
    await using registry = startFakeRegistry();
    const config = new TextEncoder().encode('{"model_format":"gguf"}');
    const name = registry.publish("u/m", [
      { mediaType: "application/vnd.docker.container.image.v1+json", content: config },
      { mediaType: "application/vnd.ollama.image.model", content: big },
    ]);
    let first = true;
    registry.intercept = (request, url) => {
      if (!url.pathname.endsWith(digest) || request.method !== "GET") return undefined;
      return first ? slowStart() : ranged(big, request.headers.get("range"));
    };
    const blob = join(folder.path, ".ollama/models/blobs", digest.replace(":", "-"));
    const noted = () => {
      const path = `${blob}-partial-0`;
      return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")).Completed : 0;
    };
    {
      await using server = await startServer({ home: folder.path });
      const pull = { model: name, insecure: true, stream: false };
      const ended = server.post("/api/pull", pull).catch(() => {}); // killed: that is the test
      await until("4 MiB are noted", () => noted() >= 4 * mebibyte);
      await server.stop("SIGKILL");
      await ended;
    }
    // Who reads the file again finds another digest and throws the download away.
    const there = readFileSync(`${blob}-partial`);
    there[0] = (there[0] ?? 0) ^ 1;
    writeFileSync(`${blob}-partial`, there);
    first = false;
    await using server = await startServer({ home: folder.path });
    const answer = await server.post("/api/pull", { model: name, insecure: true, stream: false });
    expect(await answer.json()).toEqual({ status: "success" });
  },
  60_000,
);

/**
 * Brings local files to where the server is: by digest, skipping those that it has; an upload that
 * broke off goes on where it stopped, also in a later run. A server that does not know resuming (a real
 * Ollama) gets plain uploads; an application in this process takes the file as it is.
 */
import { createReadStream, statSync } from "node:fs";
import { basename } from "node:path";
import { ConnectionError, ServerError } from "../errors.ts";
import { requestNames } from "../model/model-files.ts";
import type { Client } from "./client.ts";
import type { Progress } from "./terminal/progress.ts";

/** Header that tells how much of an upload the server holds. */
const offsetHeader = "x-hutch-upload-offset";
/** How often an upload that breaks off is taken up again in one run. */
const mostTries = 5;

async function digestOf(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hasher.update(chunk);
  }
  return `sha256:${hasher.digest("hex")}`;
}

/** The bytes of a file from an offset on; `told` hears how far reading is. */
function counted(path: string, from: number, told: (bytes: number) => void) {
  let bytes = from;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      told(bytes);
      controller.enqueue(chunk);
    },
  });
  return Bun.file(path).slice(from).stream().pipeThrough(counter);
}

/** How much of a blob the server holds; undefined when it cannot resume. */
async function heldBytes(client: Client, digest: string): Promise<number | undefined> {
  const answer = await client.request("HEAD", `/api/hutch/uploads/${digest}`);
  const held = answer.headers.get(offsetHeader);
  return answer.ok && held !== null ? Number(held) : undefined;
}

/** @throws ServerError, ConnectionError */
async function sendFile(
  client: Client,
  digest: string,
  path: string,
  tell: (bytes: number) => void,
): Promise<void> {
  const size = statSync(path).size;
  for (let tries = 1; ; tries++) {
    const held = await heldBytes(client, digest);
    if (held === undefined) {
      await client.upload(`/api/blobs/${digest}`, counted(path, 0, tell));
      return;
    }
    try {
      const answer = await client.request("PATCH", `/api/hutch/uploads/${digest}`, {
        headers: { "content-range": `bytes ${held}-${size - 1}/${size}` },
        body: counted(path, held, tell),
      });
      if (answer.ok) return;
      const { error = "" } = (await answer.json()) as { error?: string };
      // Somebody else sends the same bytes: then both of us send them whole.
      if (answer.status === 409) {
        await client.upload(`/api/blobs/${digest}`, counted(path, 0, tell));
        return;
      }
      throw new ServerError(error, answer.status);
    } catch (error) {
      if (!(error instanceof ConnectionError) || tries >= mostTries) throw error;
    }
  }
}

/** Sends what the server lacks; file name → digest. */
export async function sendFiles(
  client: Client,
  paths: readonly string[],
  progress: Progress,
): Promise<Record<string, string>> {
  const names = requestNames(paths);
  const files: Record<string, string> = {};
  for (const [i, path] of paths.entries()) {
    const name = names[i] ?? basename(path);
    if (client.takeFile !== undefined) {
      files[name] = await client.takeFile(path);
      continue;
    }
    const digest = await digestOf(path);
    const total = statSync(path).size;
    const tell = (bytes: number) => progress.copy(digest, bytes, total);
    const there = (await client.head(`/api/blobs/${digest}`)) === 200;
    if (!there) await sendFile(client, digest, path, tell);
    tell(total);
    files[name] = digest;
  }
  return files;
}

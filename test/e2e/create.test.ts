/** Making models by the executable: quantising that is cut short, files that are linked or sent on. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeGguf } from "../../src/model/gguf/writer.ts";
import {
  childrenOf,
  cleanEnvironment,
  executable,
  haveExecutable,
  isRunning,
  lines,
  startServer,
  type TestServer,
  testModel,
  until,
} from "../support/executable.ts";
import { random } from "../support/mutations.ts";

const folder = mkdtempSync(join(tmpdir(), "hutch-create-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sha256 = (bytes: Uint8Array) =>
  `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;

/** A model that takes seconds to quantise; its weights are noise. */
function largeModel(): string {
  const path = join(folder, "large.gguf");
  if (existsSync(path)) return path;
  const [width, rows, layers] = [2048, 2048, 6];
  const next = random(1);
  const row = new Uint8Array(
    Float32Array.from({ length: width }, () => next(2000) / 1000 - 1).buffer,
  );
  const tensors = Array.from({ length: layers }, (_, layer) => ({
    name: `blk.${layer}.ffn_down.weight`,
    type: 0,
    shape: [width, rows],
    *data() {
      for (let i = 0; i < rows; i++) yield row;
    },
  }));
  const u32 = (value: number) => ({ type: "uint32", value }) as const;
  const parts: Uint8Array[] = [];
  writeGguf(
    { write: (bytes) => void parts.push(bytes.slice()) },
    {
      metadata: [
        ["general.architecture", { type: "string", value: "llama" }],
        ["general.file_type", u32(0)],
        ["llama.block_count", u32(layers)],
        ["llama.context_length", u32(64)],
        ["llama.embedding_length", u32(width)],
        ["llama.feed_forward_length", u32(width)],
        ["llama.attention.head_count", u32(16)],
        ["llama.attention.layer_norm_rms_epsilon", { type: "float32", value: 1e-5 }],
        ["tokenizer.ggml.model", { type: "string", value: "none" }],
        ["llama.vocab_size", u32(32)],
      ],
      tensors,
    },
  );
  writeFileSync(path, Buffer.concat(parts));
  return path;
}

async function upload(server: TestServer, path: string): Promise<string> {
  const bytes = readFileSync(path);
  const digest = sha256(bytes);
  const answer = await fetch(`${server.url}/api/blobs/${digest}`, { method: "POST", body: bytes });
  if (!answer.ok) throw new Error(`upload: ${answer.status}`);
  return digest;
}

const blobs = (server: TestServer) => readdirSync(join(server.home, ".ollama/models/blobs"));

describe.skipIf(!haveExecutable)("quantising", () => {
  async function begun(signal?: AbortSignal) {
    const server = await startServer();
    const digest = await upload(server, largeModel());
    const answer = await server.post(
      "/api/create",
      { model: "big", files: { "m.gguf": digest }, quantize: "q3_K_M" },
      signal === undefined ? {} : { signal },
    );
    return { server, digest, answer };
  }

  test("tells how far it is, leaves chats alone, and ends its worker when the client leaves", async () => {
    const client = new AbortController();
    const { server, digest, answer } = await begun(client.signal);
    await using _ = server;
    let worker: number[] = [];
    for await (const line of lines(answer)) {
      if (typeof line.status === "string" && line.status.startsWith("quantizing F32 model")) {
        expect(line).toMatchObject({
          digest: "0000000000000000000",
          total: statSync(largeModel()).size,
        });
        worker = await childrenOf(server.pid);
        if (Number(line.completed) > 0) break;
      }
    }
    expect(worker).toHaveLength(1);
    client.abort();
    await until("the worker is gone", async () => !(await isRunning(worker[0] ?? 0)));
    await until("only the upload is left", () => blobs(server).length === 1);
    expect(blobs(server)).toEqual([digest.replace(":", "-")]);
    expect((await server.request("GET", "/api/version")).status).toBe(200);
  });

  test("that crashes is an error of that request, and nothing else", async () => {
    const { server, digest, answer } = await begun();
    await using _ = server;
    let error = "";
    for await (const line of lines(answer)) {
      if (String(line.status).startsWith("quantizing") && error === "") {
        for (const pid of await childrenOf(server.pid)) process.kill(pid, "SIGKILL");
      }
      error = String(line.error ?? "");
    }
    expect(error).toContain("the worker has unexpectedly stopped: signal");
    await until("only the upload is left", () => blobs(server).length === 1);
    expect(blobs(server)).toEqual([digest.replace(":", "-")]);
    const plain = await server.post("/api/create", {
      model: "big",
      files: { "m.gguf": digest },
      stream: false,
    });
    expect(await plain.json()).toEqual({ status: "success" });
  });

  test("ends with its server", async () => {
    const { server, answer } = await begun();
    await using _ = server;
    // By hand: leaving a loop would wait for the end of a connection that has none.
    const told = lines(answer);
    let line = (await told.next()).value;
    while (line !== undefined && !String(line.status).startsWith("quantizing")) {
      line = (await told.next()).value;
    }
    const [worker = 0] = await childrenOf(server.pid);
    expect(worker).toBeGreaterThan(0);
    await server.stop("SIGKILL");
    await until("the worker is gone", async () => !(await isRunning(worker)));
  });
});

const story = testModel("stories260K-f32.gguf");

describe.skipIf(!haveExecutable || story === undefined)("hutch create", () => {
  async function hutch(home: string, argv: readonly string[], env: Record<string, string> = {}) {
    const child = Bun.spawn([executable, ...argv], {
      env: cleanEnvironment(home, env),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, output: `${out}${err}` };
  }

  /** A folder with a Modelfile for the story model. */
  function work(): string {
    const place = mkdtempSync(join(folder, "work-"));
    copyFileSync(story ?? "", join(place, "model.gguf"));
    writeFileSync(join(place, "Modelfile"), "FROM ./model.gguf\nSYSTEM Hi.\n");
    return place;
  }

  test("without a server takes the file as it is, without copying where the disk allows", async () => {
    const place = work();
    const { code, output } = await hutch(place, ["create", "tale", "-f", join(place, "Modelfile")]);
    expect(code, output).toBe(0);
    const source = join(place, "model.gguf");
    const blob = join(
      place,
      ".ollama/models/blobs",
      sha256(readFileSync(source)).replace(":", "-"),
    );
    expect(readFileSync(blob).equals(readFileSync(source))).toBe(true);
    // A hard link has the same inode; a reflink has its own, and shares blocks unseen.
    const shared = statSync(blob).ino === statSync(source).ino;
    expect(shared || statSync(blob).nlink === 1).toBe(true);
  });

  test("goes on with an upload that broke off, and skips what the server has", async () => {
    await using server = await startServer();
    const place = work();
    const bytes = readFileSync(join(place, "model.gguf"));
    const digest = sha256(bytes);
    const half = await fetch(`${server.url}/api/hutch/uploads/${digest}`, {
      method: "PATCH",
      headers: { "content-range": `bytes 0-499999/${bytes.length}` },
      body: bytes.subarray(0, 500_000),
    });
    expect(half.status).toBe(202);
    const env = { HUTCH_HOST: server.url };
    const argv = ["create", "tale", "-f", join(place, "Modelfile")];
    for (let run = 0; run < 2; run++) {
      const { code, output } = await hutch(place, argv, env);
      expect(code, output).toBe(0);
    }
    expect(blobs(server)).toContain(digest.replace(":", "-"));
    expect(blobs(server).filter((name) => name.includes("upload"))).toEqual([]);
  });
});

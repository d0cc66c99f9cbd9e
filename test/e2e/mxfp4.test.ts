/** gpt-oss in four bits against the same numbers in sixteen: llama.cpp reads the blocks as they were meant. */
import { expect, test } from "bun:test";
import { haveExecutable, startServer, type TestServer, uploadBlob } from "../support/executable.ts";
import { mixtures } from "../support/hugging-face/mixtures.ts";
import { filesOf, type Kind } from "../support/hugging-face/shapes.ts";
import { safetensorsBytes, type TestTensor } from "../support/safetensors.ts";

type Tensors = Record<string, TestTensor>;

/** Sizes of the codes, from the format's definition (OCP MX, E2M1). */
const sizes = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

function tensorsOf(file: Uint8Array): Tensors {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const text = new TextDecoder().decode(file.subarray(8, 8 + length));
  const { __metadata__: _, ...header } = JSON.parse(text) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const entries = Object.entries(header).map(([name, { dtype, shape, data_offsets }]) => {
    const [start, end] = data_offsets;
    return [name, { dtype, shape, bytes: file.slice(8 + length + start, 8 + length + end) }];
  });
  return Object.fromEntries(entries) as Tensors;
}

/** Codes and scales as the numbers that they stand for, columns before rows as checkpoints have them. */
function widened(codes: TestTensor, scales: TestTensor): TestTensor {
  const [experts = 0, rows = 0, groups = 0] = codes.shape;
  const columns = groups * 32;
  const values = new Float32Array(experts * columns * rows);
  for (let block = 0; block < experts * rows * groups; block++) {
    const expert = Math.floor(block / (rows * groups));
    const row = Math.floor(block / groups) % rows;
    const scale = 2 ** ((scales.bytes[block] ?? 0) - 127);
    for (let i = 0; i < 32; i++) {
      const code = ((codes.bytes[block * 16 + (i >> 1)] ?? 0) >> ((i & 1) * 4)) & 15;
      const column = (block % groups) * 32 + i;
      const size = (sizes[code & 7] ?? 0) * scale;
      values[(expert * columns + column) * rows + row] = code & 8 ? -size : size;
    }
  }
  return { dtype: "F32", shape: [experts, columns, rows], bytes: new Uint8Array(values.buffer) };
}

/** The model with random codes, and with the numbers that they stand for. */
function twins(files: Record<string, Uint8Array>): { packed: Tensors; plain: Tensors } {
  const packed = tensorsOf(files["model.safetensors"] ?? new Uint8Array());
  let state = 7;
  for (const [name, { bytes }] of Object.entries(packed)) {
    if (!/_(blocks|scales)$/.test(name)) continue;
    for (let i = 0; i < bytes.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      bytes[i] = name.endsWith("_blocks") ? state >>> 24 : 121 + ((state >>> 24) % 3);
    }
  }
  const plain: Tensors = {};
  for (const [name, tensor] of Object.entries(packed)) {
    const scales = packed[name.replace(/_blocks$/, "_scales")];
    if (name.endsWith("_scales")) continue;
    plain[name.replace(/_blocks$/, "")] =
      name.endsWith("_blocks") && scales ? widened(tensor, scales) : tensor;
  }
  return { packed, plain };
}

/** The likeliest first tokens of a model, with how likely they are. */
async function firstTokens(
  server: TestServer,
  files: Record<string, Uint8Array>,
): Promise<Map<string, number>> {
  const digests: Record<string, string> = {};
  for (const [name, bytes] of Object.entries(files))
    digests[name] = await uploadBlob(server, bytes);
  const wanted = { model: "tiny", files: digests, stream: false };
  const made = await server.post("/api/create", wanted);
  expect(await made.json()).toEqual({ status: "success" });
  const answer = await server.post("/api/generate", {
    model: "tiny",
    prompt: "abcdefg",
    raw: true,
    stream: false,
    logprobs: true,
    top_logprobs: 5,
    options: { num_predict: 1, temperature: 0 },
  });
  const { logprobs } = (await answer.json()) as {
    logprobs: { top_logprobs: { token: string; logprob: number }[] }[];
  };
  const top = logprobs[0]?.top_logprobs ?? [];
  return new Map(top.map(({ token, logprob }) => [token, logprob]));
}

test.skipIf(!haveExecutable)(
  "experts in four bits say what the same numbers say in sixteen",
  async () => {
    await using server = await startServer();
    const files = filesOf("GptOssForCausalLM", mixtures.GptOssForCausalLM as Kind);
    const { packed, plain } = twins(files);
    const run = (tensors: Tensors) =>
      firstTokens(server, { ...files, "model.safetensors": safetensorsBytes(tensors) });
    const [four, sixteen] = [await run(packed), await run(plain)];
    expect([...four.keys()]).toEqual([...sixteen.keys()]);
    for (const [token, logprob] of four) {
      expect(Math.abs(logprob - (sixteen.get(token) ?? 9))).toBeLessThan(0.02);
    }
  },
);

/**
 * Where numbers go that do not keep their place: llama.cpp runs a model whose rows are mixed up as gladly
 * as a right one, so each order is computed here from what the architectures' definitions say.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertModel } from "../../../../src/model/convert/convert.ts";
import { toFloats } from "../../../../src/model/convert/numbers.ts";
import { convertProjector } from "../../../../src/model/convert/projector.ts";
import { readSafetensors } from "../../../../src/model/convert/safetensors.ts";
import { allBytes, weightsOf } from "../../../../src/model/convert/weights.ts";
import { readGguf } from "../../../../src/model/gguf/reader.ts";
import type { ByteSink } from "../../../../src/model/gguf/writer.ts";
import { gemma4 } from "../../../support/hugging-face/gemma4.ts";
import { glmVision } from "../../../support/hugging-face/glm-vl.ts";
import { mixtures } from "../../../support/hugging-face/mixtures.ts";
import { recurrent } from "../../../support/hugging-face/recurrent.ts";
import { filesOf, type Kind } from "../../../support/hugging-face/shapes.ts";
import { sighted } from "../../../support/hugging-face/sighted.ts";
import { writeFolder } from "../../../support/safetensors.ts";

const folder = mkdtempSync(join(tmpdir(), "hutch-rearranged-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Numbers in 16 bits, as matrices are written. */
const half = (values: readonly number[]) => [...new Float16Array(values)];

type Convert = (paths: Record<string, string>, sink: ByteSink) => unknown;

/** Source and result of a tiny model: numbers of a tensor by its name. */
function convert(name: string, kind: Kind | undefined, run: Convert = convertModel) {
  if (kind === undefined) throw new Error(`there is no ${name}`);
  const own = mkdtempSync(join(folder, "model-"));
  const paths = writeFolder(own, filesOf(name, kind));
  const parts: Uint8Array[] = [];
  run(paths, { write: (bytes) => parts.push(bytes.slice()) });
  const path = join(own, "out.gguf");
  writeFileSync(path, Buffer.concat(parts));
  const source = readSafetensors("model.safetensors", paths["model.safetensors"] ?? "");
  const head = readGguf(path);
  const bytes = readFileSync(path);
  return {
    from(wanted: string): number[] {
      const found = source.find((tensor) => tensor.name === wanted);
      if (found === undefined) throw new Error(`no tensor ${wanted}`);
      return [...toFloats(allBytes(weightsOf(found)), found.dtype)];
    },
    to(wanted: string): number[] {
      const found = head.tensors.find((tensor) => tensor.name === wanted);
      if (found === undefined) throw new Error(`no tensor ${wanted}`);
      const start = head.dataOffset + found.offset;
      const own = bytes.subarray(start, start + found.bytes);
      return [...toFloats(own, found.type.name as "F16" | "F32")];
    },
  };
}

/** Rows of a matrix in another order. */
function rows(values: readonly number[], width: number, order: readonly number[]): number[] {
  return order.flatMap((row) => values.slice(row * width, (row + 1) * width));
}

const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

describe("a conversion moves", () => {
  test("DeepSeek's keys and values out of one matrix, keys turned", () => {
    const { from, to } = convert("DeepseekV3ForCausalLM", mixtures.DeepseekV3ForCausalLM);
    const [heads, plain, value, kept] = [4, 16, 12, 32];
    const whole = from("model.layers.0.self_attn.kv_b_proj.weight");
    const at = (head: number, row: number, column: number) =>
      whole[(head * (plain + value) + row) * kept + column] ?? Number.NaN;
    const keys = range(heads).flatMap((head) =>
      range(kept).flatMap((column) => range(plain).map((row) => at(head, row, column))),
    );
    const values = range(heads).flatMap((head) =>
      range(value).flatMap((row) => range(kept).map((column) => at(head, plain + row, column))),
    );
    expect(to("blk.0.attn_k_b.weight")).toEqual(half(keys));
    expect(to("blk.0.attn_v_b.weight")).toEqual(half(values));
  });

  test("gpt-oss' gates and ups apart, which alternate", () => {
    const kind = mixtures["GptOssForCausalLM in 16 bits"];
    const { from, to } = convert("GptOssForCausalLM", kind);
    const bias = from("model.layers.1.mlp.experts.gate_up_proj_bias");
    const every = (first: number) => bias.filter((_, i) => i % 2 === first);
    expect(to("blk.1.ffn_gate_exps.bias")).toEqual(every(0));
    expect(to("blk.1.ffn_up_exps.bias")).toEqual(every(1));
    // Stored as [experts, in, 2 × out].
    const [experts, inputs, outputs] = [4, 64, 96];
    const weights = from("model.layers.1.mlp.experts.gate_up_proj");
    const gate = range(experts).flatMap((e) =>
      range(outputs).flatMap((out) =>
        range(inputs).map((i) => weights[(e * inputs + i) * 2 * outputs + 2 * out] ?? 0),
      ),
    );
    expect(to("blk.1.ffn_gate_exps.weight")).toEqual(half(gate));
  });

  test("Qwen 3.5's heads of values: first ones of all heads of keys, then second ones", () => {
    const { from, to } = convert("Qwen3_5ForCausalLM", recurrent.Qwen3_5ForCausalLM);
    // Heads 0 and 1 share the first head of keys, 2 and 3 the second.
    const heads = [0, 2, 1, 3];
    const [size, width] = [16, 64];
    const order = heads.flatMap((head) => range(size, head * size));
    const place = "model.layers.0.linear_attn.";
    const inOrder = (values: readonly number[]) => heads.map((head) => values[head] ?? 0);
    expect(to("blk.0.ssm_dt.bias")).toEqual(inOrder(from(`${place}dt_bias`)));
    const negative = inOrder(from(`${place}A_log`)).map((value) => Math.fround(-Math.exp(value)));
    expect(to("blk.0.ssm_a")).toEqual(negative);
    expect(to("blk.0.attn_gate.weight")).toEqual(
      half(rows(from(`${place}in_proj_z.weight`), width, order)),
    );
    const keys = 2 * 2 * size;
    expect(to("blk.0.attn_qkv.weight")).toEqual(
      half(
        rows(from(`${place}in_proj_qkv.weight`), width, [
          ...range(keys),
          ...order.map((row) => keys + row),
        ]),
      ),
    );
    const out = from(`${place}out_proj.weight`);
    const columns = range(width).flatMap((row) => order.map((i) => out[row * 4 * size + i] ?? 0));
    expect(to("blk.0.ssm_out.weight")).toEqual(half(columns));
    expect(to("blk.0.ssm_norm.weight")).toEqual(from(`${place}norm.weight`));
    const plusOne = from("model.layers.1.self_attn.q_norm.weight").map((v) => Math.fround(v + 1));
    expect(to("blk.1.attn_q_norm.weight")).toEqual(plusOne);
  });

  test("Qwen 3 Next's queries, keys, values and gates, which come head by head", () => {
    const { from, to } = convert("Qwen3NextForCausalLM", recurrent.Qwen3NextForCausalLM);
    const [heads, size, values, width] = [2, 16, 32, 64];
    const perHead = 2 * size + 2 * values;
    const part = (start: number, count: number) =>
      range(heads).flatMap((head) => range(count, head * perHead + start));
    const whole = from("model.layers.0.linear_attn.in_proj_qkvz.weight");
    const qkv = [...part(0, size), ...part(size, size), ...part(2 * size, values)];
    expect(to("blk.0.attn_qkv.weight")).toEqual(half(rows(whole, width, qkv)));
    expect(to("blk.0.attn_gate.weight")).toEqual(
      half(rows(whole, width, part(2 * size + values, values))),
    );
  });

  test("the turning part of GLM-4V's heads into halves", () => {
    const name = "Glm4vForConditionalGeneration";
    const { from, to } = convert(name, glmVision[name]);
    // Heads of 16, the first 8 numbers turn: pairs of neighbours become pairs of halves.
    const within = [0, 2, 4, 6, 1, 3, 5, 7, ...range(8, 8)];
    const order = range(2).flatMap((head) => within.map((row) => head * 16 + row));
    const keys = from("model.language_model.layers.0.self_attn.k_proj.weight");
    expect(to("blk.0.attn_k.weight")).toEqual(half(rows(keys, 64, order)));
  });

  test("Gemma 4's patches of pixels into planes of colors", () => {
    const name = "Gemma4ForConditionalGeneration";
    const { from, to } = convert(name, gemma4[name], convertProjector);
    const [channels, patch] = [48, 8];
    const pixels = from("model.vision_tower.patch_embedder.input_proj.weight");
    const planes = range(channels).flatMap((channel) =>
      range(3).flatMap((color) =>
        range(patch * patch).map((pixel) => pixels[(channel * patch * patch + pixel) * 3 + color]),
      ),
    );
    expect(to("v.patch_embd.weight")).toEqual(planes as number[]);
  });

  test("Qwen VL's two frames and three projections apart", () => {
    const name = "Qwen2_5_VLForConditionalGeneration";
    const { from, to } = convert(name, sighted[name], convertProjector);
    const [outer, inner] = [48 * 3, 8 * 8];
    const frames = from("model.visual.patch_embed.proj.weight");
    const frame = (which: number) =>
      range(outer).flatMap((i) =>
        frames.slice((2 * i + which) * inner, (2 * i + which + 1) * inner),
      );
    expect(to("v.patch_embd.weight")).toEqual(frame(0));
    expect(to("v.patch_embd.weight.1")).toEqual(frame(1));
    const qkv = from("model.visual.blocks.1.attn.qkv.bias");
    expect(to("v.blk.1.attn_k.bias")).toEqual(qkv.slice(48, 96));
  });

  test("Pixtral's rows of heads, and the embedding that ends a row of patches", () => {
    const name = "Mistral3ForConditionalGeneration";
    const { from, to } = convert(name, sighted[name], convertProjector);
    // Three heads of 16 whose halves are interleaved.
    const order = range(3).flatMap((head) =>
      range(8).flatMap((i) => [head * 16 + i, head * 16 + 8 + i]),
    );
    const queries = from("vision_tower.transformer.layers.0.attention.q_proj.weight");
    expect(to("v.blk.0.attn_q.weight")).toEqual(half(rows(queries, 48, order)));
    const embeddings = from("language_model.model.embed_tokens.weight");
    expect(to("v.token_embd.img_break")).toEqual(embeddings.slice(23 * 64, 24 * 64));
  });

  test("Llama 4's fused experts: gate and up side by side, turned", () => {
    const name = "Llama4ForConditionalGeneration";
    const { from, to } = convert(name, sighted[name]);
    const [experts, inputs, outputs] = [4, 64, 96];
    const weights = from("language_model.model.layers.1.feed_forward.experts.gate_up_proj");
    const part = (start: number) =>
      range(experts).flatMap((e) =>
        range(outputs).flatMap((out) =>
          range(inputs).map((i) => weights[(e * inputs + i) * 2 * outputs + start + out] ?? 0),
        ),
      );
    expect(to("blk.1.ffn_gate_exps.weight")).toEqual(half(part(0)));
    expect(to("blk.1.ffn_up_exps.weight")).toEqual(half(part(outputs)));
  });
});

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConvertError } from "../../../../src/errors.ts";
import { convertAdapter } from "../../../../src/model/convert/lora.ts";
import { toFloats } from "../../../../src/model/convert/numbers.ts";
import { readGguf } from "../../../../src/model/gguf/reader.ts";
import { f32, numbers, safetensorsBytes, writeFolder } from "../../../support/safetensors.ts";

const folder = mkdtempSync(join(tmpdir(), "hutch-lora-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const base = { architecture: "llama", heads: 4, kvHeads: 2 };
const width = 16;
const rank = 2;

function convert(files: Record<string, unknown>, onto = base): Map<string, number[]> {
  const parts: Uint8Array[] = [];
  const paths = writeFolder(mkdtempSync(join(folder, "adapter-")), files);
  convertAdapter(paths, onto, { write: (bytes) => void parts.push(bytes.slice()) });
  const path = join(folder, `${crypto.randomUUID()}.gguf`);
  writeFileSync(path, Buffer.concat(parts));
  const head = readGguf(path);
  const all = readFileSync(path);
  return new Map(
    head.tensors.map(({ name, offset, bytes }) => {
      const start = head.dataOffset + offset;
      return [name, [...toFloats(all.subarray(start, start + bytes).slice(), "F16")]];
    }),
  );
}

/** `rows` × `columns`, by `inner`. */
function product(a: readonly number[], b: readonly number[], inner: number): number[] {
  const columns = b.length / inner;
  const rows = a.length / inner;
  return Array.from({ length: rows * columns }, (_, at) => {
    const row = Math.floor(at / columns);
    let sum = 0;
    for (let i = 0; i < inner; i++) {
      sum += (a[row * inner + i] ?? 0) * (b[i * columns + (at % columns)] ?? 0);
    }
    return sum;
  });
}

const place = "base_model.model.model.layers.0.self_attn.q_proj.";
const a = numbers(rank * width, 5);
const b = numbers(width * rank, 6);
const peft = {
  "adapter_config.json": { peft_type: "LORA", r: rank, lora_alpha: 8 },
  "adapter_model.safetensors": safetensorsBytes({
    [`${place}lora_A.weight`]: f32([rank, width], 5),
    [`${place}lora_B.weight`]: f32([width, rank], 6),
  }),
};

describe("converting a LoRA", () => {
  test("its product is the change of the base's weights, whose query rows are turned", () => {
    const found = convert(peft);
    const change = product([...b], [...a], rank);
    // Row 4h + i of the converted base is row 4h + i/2 + (i odd ? 2 : 0) of the original.
    const turned = Array.from({ length: width }, (_, row) => {
      const inHead = row % 4;
      const from = row - inHead + Math.floor(inHead / 2) + (inHead % 2) * 2;
      return change.slice(from * width, (from + 1) * width);
    }).flat();
    const converted = product(
      found.get("blk.0.attn_q.weight.lora_b") ?? [],
      found.get("blk.0.attn_q.weight.lora_a") ?? [],
      rank,
    );
    const worst = Math.max(...converted.map((value, i) => Math.abs(value - (turned[i] ?? 0))));
    expect(worst).toBeLessThan(0.002);
  });

  test("MLX's spelling, with both sides turned, gives the same adapter", () => {
    const flip = (values: Float32Array, rows: number, columns: number) =>
      new Uint8Array(
        Float32Array.from(
          values,
          (_, at) => values[(at % rows) * columns + Math.floor(at / rows)] ?? 0,
        ).buffer,
      );
    const mlx = "model.layers.0.self_attn.q_proj.";
    const found = convert({
      "adapter_config.json": { lora_parameters: { rank, alpha: 8 } },
      "adapters.safetensors": safetensorsBytes({
        [`${mlx}lora_a`]: { dtype: "F32", shape: [width, rank], bytes: flip(a, rank, width) },
        [`${mlx}lora_b`]: { dtype: "F32", shape: [rank, width], bytes: flip(b, width, rank) },
      }),
    });
    expect(found).toEqual(convert(peft));
  });

  test("a base that no adapter can be converted for is named", () => {
    expect(() => convert(peft, { ...base, architecture: "bert" })).toThrow(ConvertError);
    expect(() => convert(peft, { ...base, architecture: "bert" })).toThrow(
      'unsupported architecture "bert" for adapters',
    );
  });

  test("tensors that are no part of a LoRA are refused", () => {
    const files = {
      ...peft,
      "adapter_model.safetensors": safetensorsBytes({ "model.layers.0.x": f32([2, 2]) }),
    };
    expect(() => convert(files)).toThrow('tensor "model.layers.0.x" is no part of a LoRA');
  });
});

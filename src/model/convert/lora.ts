/**
 * LoRA adapters of safetensors files (PEFT's and MLX's spelling) as a GGUF adapter (create.md 6). The
 * base model's head counts decide how rows are turned, so they come with the request.
 */
import { ConvertError } from "../../errors.ts";
import { byPlace } from "../gguf/merge.ts";
import { type ByteSink, type WriteValue, writeGguf } from "../gguf/writer.ts";
import { decoderNames, type Renaming, renamed } from "./architecture.ts";
import { Config } from "./config.ts";
import { f32, text, u32 } from "./metadata.ts";
import { type Planned, toWriteTensor } from "./planned.ts";
import { readTensors } from "./safetensors.ts";
import { SourceFiles } from "./source.ts";
import { interleaved, transposed, type Weights, weightsOf } from "./weights.ts";

/** What an adapter has to know of its base. */
export interface AdapterBase {
  /** `general.architecture`. */
  readonly architecture: string;
  readonly heads: number;
  readonly kvHeads: number;
}

/** Bases whose adapters can be converted; llama's stand for Mistral's too. */
const supported = ["llama", "gemma2", "gemma", "gemma3", "qwen2", "qwen3"];

const names: Renaming = [
  ["base_model.model.", ""],
  ["lora_A.weight", "weight.lora_a"],
  ["lora_B.weight", "weight.lora_b"],
  ["lora_a", "weight.lora_a"],
  ["lora_b", "weight.lora_b"],
  ["weight.weight.", "weight."],
  ...decoderNames,
];

/** Norms around each part, as Gemma has them; an adapter seldom touches them. */
const understood = /^(blk\.\d+\.[a-z_]+|token_embd|output)\.weight\.lora_[ab]$/;

/**
 * Writes the adapter.
 * @param paths name in the adapter's folder → absolute path
 * @throws ConvertError
 */
export function convertAdapter(
  paths: Readonly<Record<string, string>>,
  base: AdapterBase,
  sink: ByteSink,
): void {
  const files = new SourceFiles(paths);
  const config = new Config(files.object("adapter_config.json"), "adapter_config.json");
  if (!supported.includes(base.architecture)) {
    throw new ConvertError(
      `unsupported architecture "${base.architecture}" for adapters - supported architectures are ${supported.join(", ")}`,
    );
  }
  const alpha =
    config.object("lora_parameters")?.maybeNumber("alpha") ?? config.number("lora_alpha");
  const weights = files.names.filter(
    (name) => name.endsWith(".safetensors") && !name.includes("/"),
  );
  const tensors = [...readTensors(files, weights).values()]
    .map((source) => plan(weightsOf(source), base))
    .map(toWriteTensor)
    .sort(byPlace);
  if (tensors.length === 0) throw new ConvertError("the adapter has no tensors");
  const metadata: [string, WriteValue][] = [
    ["adapter.lora.alpha", f32(alpha)],
    ["adapter.type", text("lora")],
    ["general.architecture", text(base.architecture)],
    ["general.file_type", u32(1)],
    ["general.type", text("adapter")],
    ["general.version", text("v0.2")],
    [`${base.architecture}.attention.head_count`, u32(base.heads)],
    [`${base.architecture}.attention.head_count_kv`, u32(base.kvHeads)],
  ];
  writeGguf(sink, { metadata, tensors });
}

function plan(source: Weights, base: AdapterBase): Planned {
  const name = renamed(source.name, names);
  if (!understood.test(name) || source.shape.length !== 2) {
    throw new ConvertError(`tensor "${source.name}" is no part of a LoRA that is known`);
  }
  // The rank is the short side: the rows of A, the columns of B.
  const [rows = 0, columns = 0] = source.shape;
  const turned = name.endsWith("lora_a") ? rows > columns : rows < columns;
  let weights = turned ? transposed(source) : source;
  const rotary = /\.attn_([qk])\.weight\.lora_b$/.exec(name)?.[1];
  if (rotary !== undefined && base.architecture === "llama") {
    weights = interleaved(weights, rotary === "q" ? base.heads : base.kvHeads);
  }
  return { name, weights, type: "F16" };
}

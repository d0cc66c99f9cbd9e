/**
 * Everything of a source folder that its conversions need: configuration, files, weights joined with their
 * scales and stacked, and the architecture's recipe.
 */
import { ConvertError } from "../../errors.ts";
import type { WriteValue } from "../gguf/writer.ts";
import type { Architecture, SourceModel } from "./architecture.ts";
import { architectureFor } from "./architectures/table.ts";
import { Config } from "./config.ts";
import { type Metadata, u32 } from "./metadata.ts";
import { descaled } from "./planned.ts";
import { readTensors, type SourceTensor } from "./safetensors.ts";
import { SourceFiles } from "./source.ts";
import { stacked, type Weights, weightsOf } from "./weights.ts";

export interface Source {
  readonly recipe: Architecture;
  readonly model: SourceModel;
  /** The source had 8-bit floats: in 16 bits it is twice as large as it need be. */
  readonly eightBit: boolean;
}

/**
 * Reads configuration and tables; no weights yet.
 * @param paths name in the model's folder → absolute path
 * @throws ConvertError
 */
export function readSource(paths: Readonly<Record<string, string>>): Source {
  const files = new SourceFiles(paths);
  const config = new Config(files.object("config.json")).merged("text_config");
  const recipe = architectureFor(config.texts("architectures")?.[0] ?? "");
  const sources = readTensors(files, weightFiles(files.names));
  const { weights, eightBit } = loadWeights(sources, config);
  return { recipe, model: { config, files, weights }, eightBit };
}

/** Weights of the model itself: folders may hold the same ones in a second layout. */
function weightFiles(names: readonly string[]): string[] {
  const all = names.filter((name) => name.endsWith(".safetensors") && !name.includes("/"));
  const usual = all.filter((name) => name.startsWith("model"));
  return usual.length > 0 ? usual : all;
}

/** Joins 8-bit weights with their scales, and experts that are stored one by one. */
function loadWeights(sources: ReadonlyMap<string, SourceTensor>, config: Config) {
  const weights = new Map<string, Weights>();
  const experts = new Map<string, Map<number, Weights>>();
  let eightBit = false;
  for (const [name, source] of sources) {
    if (/\.weight_scale(_inv)?$|\.(input|activation)_scale$/.test(name)) continue;
    const scale =
      sources.get(name.replace(/\.weight$/, ".weight_scale_inv")) ??
      sources.get(name.replace(/\.weight$/, ".weight_scale"));
    let loaded = weightsOf(source);
    if (source.dtype.startsWith("F8_") && scale !== undefined && scale !== source) {
      eightBit = true;
      loaded = descaled(loaded, weightsOf(scale), blockOf(source, scale, config));
    }
    const [, place, index, part] = /^(.*\.experts)\.(\d+)\.(.+)$/.exec(name) ?? [];
    if (part === undefined) weights.set(name, loaded);
    else {
      const group = `${place}.${part}`;
      const list = experts.get(group) ?? new Map<number, Weights>();
      experts.set(group, list.set(Number(index), loaded));
    }
  }
  for (const [name, list] of experts) {
    const inOrder = Array.from({ length: list.size }, (_, expert) => {
      const found = list.get(expert);
      if (found !== undefined) return found;
      throw new ConvertError(`tensor "${name}": expert ${expert} of ${list.size} is missing`);
    });
    weights.set(name, stacked(name, inOrder));
  }
  return { weights, eightBit };
}

/** Rows and columns that share a scale. */
function blockOf(source: SourceTensor, scale: SourceTensor, config: Config): number[] {
  const stated = config.object("quantization_config")?.numbers("weight_block_size");
  const elements = scale.shape.reduce((product, size) => product * size, 1);
  // One scale for the whole matrix, or one for each row.
  if (elements === 1) return [...source.shape];
  return elements === source.shape[0] ? [1, source.shape[1] ?? 0] : (stated ?? [128, 128]);
}

/** Keys sorted; the two that llama.cpp's tool writes last, last. */
export function inOrder(metadata: Metadata, fileType: number): [string, WriteValue][] {
  const pairs = Object.entries(metadata).flatMap(([key, value]): [string, WriteValue][] =>
    value === undefined ? [] : [[key, value]],
  );
  pairs.sort(([a], [b]) => (a < b ? -1 : 1));
  return [...pairs, ["general.quantization_version", u32(2)], ["general.file_type", u32(fileType)]];
}

/** The part of a model that sees, as a GGUF of its own: what `mmproj` files are to llama.cpp. */
import { ConvertError } from "../../errors.ts";
import { byPlace } from "../gguf/merge.ts";
import { type ByteSink, type WriteTensor, writeGguf } from "../gguf/writer.ts";
import { type Projector, renamed, type SourceModel } from "./architecture.ts";
import { text } from "./metadata.ts";
import { type Planned, toWriteTensor } from "./planned.ts";
import { inOrder, readSource } from "./source-model.ts";

/** Names that llama.cpp knows in a part that sees; what is left of a source's spelling was not understood. */
const understood =
  /^(v|mm)\.((blk|deepstack)\.\d+\.)?(model\.mlp\.\d+|model\.fc|\d+|[a-z0-9_]+)\.((weight|bias)(\.1)?|(input|output)_(min|max))$|^v\.(class_embd|token_embd\.img_break|std_bias|std_scale)$/;

/** Stay in full precision: positions and the first convolution are added up or resized. */
const fullPrecision = /^v\.(patch_embd|position_embd|class_embd|token_embd)\b/;

/**
 * Writes the projector.
 * @param paths name in the model's folder → absolute path
 * @throws ConvertError when the model has no such part, or one that is not understood
 */
export function convertProjector(paths: Readonly<Record<string, string>>, sink: ByteSink): void {
  const { recipe, model } = readSource(paths);
  const { projector } = recipe;
  if (projector === undefined) throw new ConvertError(`${recipe.classes[0]} has no part that sees`);
  const metadata = {
    "general.architecture": text("clip"),
    ...projector.metadata(model),
  };
  writeGguf(sink, { metadata: inOrder(metadata, 1), tensors: planTensors(projector, model) });
}

function planTensors(projector: Projector, model: SourceModel): WriteTensor[] {
  const planned: Planned[] = [...(projector.extra?.(model) ?? [])];
  for (const [source, weights] of model.weights) {
    if (!projector.parts.test(source)) continue;
    const name = renamed(source, projector.names);
    planned.push(...(projector.plan?.(name, weights, model) ?? [{ name, weights }]));
  }
  return planned.map(toTyped).sort(byPlace);
}

function toTyped(planned: Planned): WriteTensor {
  const { name, weights } = planned;
  if (!understood.test(name)) {
    throw new ConvertError(`tensor "${weights.name}" is not known in this part that sees`);
  }
  // Never bfloat16: llama.cpp's picture operations have no kernels for it.
  const plain = weights.shape.length <= 1 || /\.bias$/.test(name) || fullPrecision.test(name);
  return toWriteTensor({ type: plain ? "F32" : "F16", ...planned });
}

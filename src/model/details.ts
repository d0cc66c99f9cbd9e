/** `details` of tags, ps and show (api.md 9). */
import type { ModelContent } from "./model.ts";

export interface ModelDetails {
  readonly parent_model: string;
  readonly format: string;
  readonly family: string;
  readonly families: readonly string[] | null;
  readonly parameter_size: string;
  readonly quantization_level: string;
}

export function detailsOf(model: ModelContent): ModelDetails {
  const { config } = model;
  const known = config.file_type !== "" && config.file_type !== "unknown";
  // File type 0 (F32) counts as unset in Ollama, and is shown so (api.md 9.3).
  const repaired = model.gguf?.facts.fileType;
  return {
    parent_model: model.parentModel,
    format: config.model_format,
    family: config.model_family,
    families: config.model_families,
    parameter_size: config.model_type,
    quantization_level:
      known || repaired === undefined || repaired === "F32" ? config.file_type : repaired,
  };
}

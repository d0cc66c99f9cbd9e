/** Every architecture that can be converted. Adding one is a file and a line here. */
import { ConvertError } from "../../../errors.ts";
import type { Architecture } from "../architecture.ts";
import { bert } from "./bert.ts";
import { commandR } from "./command-r.ts";
import { deepseek2, glm4MoeLite } from "./deepseek.ts";
import { gemma, gemma2, gemma3, gemmaEmbedding } from "./gemma.ts";
import { gemma3n } from "./gemma3n.ts";
import { gemma4 } from "./gemma4.ts";
import { glm4, glm4moe } from "./glm.ts";
import { glm4v } from "./glm-vision.ts";
import { gptOss } from "./gpt-oss.ts";
import { granite, olmo2, smollm3 } from "./kin-of-llama.ts";
import { laguna } from "./laguna.ts";
import { lfm2, lfm2moe } from "./lfm2.ts";
import { lfm2vl } from "./lfm2-vision.ts";
import { llama } from "./llama.ts";
import { llama4 } from "./llama4.ts";
import { mistral3 } from "./mistral3.ts";
import { nemotronH } from "./nemotron-h.ts";
import { nomicBert } from "./nomic-bert.ts";
import { phi3 } from "./phi3.ts";
import { qwen2, qwen2moe, qwen3, qwen3moe } from "./qwen.ts";
import { qwen3next, qwen35, qwen35moe } from "./qwen-linear.ts";
import { qwen2vl, qwen3vl, qwen3vlmoe } from "./qwen-vision.ts";
import { starcoder2 } from "./starcoder2.ts";

const architectures: readonly Architecture[] = [
  llama,
  qwen2,
  qwen2moe,
  qwen3,
  qwen3moe,
  gemma,
  gemma2,
  gemma3,
  gemmaEmbedding,
  gemma3n,
  gemma4,
  gptOss,
  qwen2vl,
  qwen3vl,
  qwen3vlmoe,
  qwen3next,
  qwen35,
  qwen35moe,
  mistral3,
  llama4,
  phi3,
  deepseek2,
  glm4,
  glm4v,
  glm4moe,
  glm4MoeLite,
  lfm2,
  lfm2moe,
  lfm2vl,
  nemotronH,
  laguna,
  granite,
  smollm3,
  olmo2,
  commandR,
  starcoder2,
  bert,
  nomicBert,
];

/** Names that config.json may give, sorted. */
export const supportedClasses: readonly string[] = architectures
  .flatMap(({ classes }) => classes)
  .sort();

/** @throws ConvertError with the list of what is supported */
export function architectureFor(name: string): Architecture {
  const found = architectures.find(({ classes }) => classes.includes(name));
  if (found !== undefined) return found;
  throw new ConvertError(
    `unsupported architecture "${name}" - supported architectures are ${supportedClasses.join(", ")}`,
  );
}

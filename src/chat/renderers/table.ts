/** The renderers that a stored model may name (template.md 10). */
import { cogito } from "./cogito.ts";
import { cohere } from "./cohere.ts";
import { deepseek31 } from "./deepseek.ts";
import { functiongemma } from "./functiongemma.ts";
import { gemma4 } from "./gemma.ts";
import { glimmer } from "./glimmer.ts";
import { glm47, glmOcr } from "./glm.ts";
import { laguna, poolside } from "./laguna.ts";
import { lfm2 } from "./lfm.ts";
import { nemotron } from "./nemotron.ts";
import { introductionOf32b, introductionOfOlmo, olmo3, olmo3Think } from "./olmo.ts";
import { qwenVl } from "./qwen-vl.ts";
import { qwen35, qwen38, qwenCoder } from "./qwen-xml.ts";
import type { Renderer } from "./turns.ts";

const renderers: Readonly<Record<string, Renderer>> = {
  cogito,
  cohere,
  "deepseek3.1": deepseek31,
  functiongemma,
  "gemma4-large": gemma4(true),
  "gemma4-small": gemma4(false),
  glimmer,
  "glm-4.7": glm47,
  "glm-ocr": glmOcr,
  laguna,
  lfm2: lfm2(false),
  "lfm2-thinking": lfm2(true),
  "nemotron-3-nano": nemotron(false),
  "nemotron-3.5-nano": nemotron(true),
  olmo3: olmo3("olmo3"),
  "olmo3-32b-think": olmo3Think(introductionOf32b),
  "olmo3-think": olmo3Think(introductionOfOlmo),
  "olmo3.1": olmo3("olmo3.1"),
  "poolside-v1": poolside,
  ornith: qwen35({ keepsThinking: true }),
  "qwen3-coder": qwenCoder,
  "qwen3-vl-instruct": qwenVl(false),
  "qwen3-vl-thinking": qwenVl(true),
  "qwen3.5": qwen35({ keepsThinking: false }),
  "qwen3.8": qwen38,
};

export const rendererNames: readonly string[] = Object.keys(renderers);

/** Undefined for a name that stands for no renderer. */
export function rendererNamed(name: string): Renderer | undefined {
  return Object.hasOwn(renderers, name) ? renderers[name] : undefined;
}

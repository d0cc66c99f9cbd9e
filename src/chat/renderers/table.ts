/** The renderers that a stored model may name (template.md 10). */
import { deepseek31 } from "./deepseek.ts";
import { gemma4 } from "./gemma.ts";
import { glm47, glmOcr } from "./glm.ts";
import { lfm2 } from "./lfm.ts";
import { nemotron } from "./nemotron.ts";
import { olmo3 } from "./olmo.ts";
import { qwenVl } from "./qwen-vl.ts";
import { qwen35, qwen38, qwenCoder } from "./qwen-xml.ts";
import type { Renderer } from "./turns.ts";

const renderers: Readonly<Record<string, Renderer>> = {
  "deepseek3.1": deepseek31,
  "gemma4-large": gemma4(true),
  "gemma4-small": gemma4(false),
  "glm-4.7": glm47,
  "glm-ocr": glmOcr,
  lfm2: lfm2(false),
  "lfm2-thinking": lfm2(true),
  "nemotron-3-nano": nemotron(false),
  "nemotron-3.5-nano": nemotron(true),
  olmo3: olmo3("olmo3"),
  "olmo3.1": olmo3("olmo3.1"),
  ornith: qwen35({ keepsThinking: true }),
  "qwen3-coder": qwenCoder,
  "qwen3-vl-instruct": qwenVl(false),
  "qwen3-vl-thinking": qwenVl(true),
  "qwen3.5": qwen35({ keepsThinking: false }),
  "qwen3.8": qwen38,
};

/** Undefined for a name that stands for no renderer. */
export function rendererNamed(name: string): Renderer | undefined {
  return Object.hasOwn(renderers, name) ? renderers[name] : undefined;
}

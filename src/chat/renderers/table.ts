/** The renderers that a stored model may name (template.md 10). */
import { deepseek31 } from "./deepseek.ts";
import { glm47 } from "./glm.ts";
import { qwenVl } from "./qwen-vl.ts";
import { qwen35, qwenCoder } from "./qwen-xml.ts";
import type { Renderer } from "./turns.ts";

const renderers: Readonly<Record<string, Renderer>> = {
  "deepseek3.1": deepseek31,
  "glm-4.7": glm47,
  ornith: qwen35({ keepsThinking: true }),
  "qwen3-coder": qwenCoder,
  "qwen3-vl-instruct": qwenVl(false),
  "qwen3-vl-thinking": qwenVl(true),
  "qwen3.5": qwen35({ keepsThinking: false }),
};

/** Undefined for a name that stands for no renderer. */
export function rendererNamed(name: string): Renderer | undefined {
  return Object.hasOwn(renderers, name) ? renderers[name] : undefined;
}

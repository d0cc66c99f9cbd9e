/** The parsers that a stored model may name (output-parsing.md 5). */
import type { OutputParser, ParserSetup } from "../output.ts";
import { cohere } from "./cohere.ts";
import { cogito, deepseek3 } from "./deepseek.ts";
import { functiongemma } from "./functiongemma.ts";
import { gemma4, gemma4NoThinking } from "./gemma.ts";
import { glimmer } from "./glimmer.ts";
import { glm47, glmOcr } from "./glm.ts";
import { harmony } from "./harmony.ts";
import { laguna, poolside } from "./laguna.ts";
import { lfm2, lfm2Thinking } from "./lfm.ts";
import { ministral } from "./ministral.ts";
import { olmo3, olmo3Think } from "./olmo.ts";
import { passthrough } from "./passthrough.ts";
import {
  nemotron3,
  qwen3,
  qwen3Coder,
  qwen3Thinking,
  qwen3VlInstruct,
  qwen3VlThinking,
  qwen35,
} from "./qwen.ts";

export interface NamedParser {
  /** Reads tool calls. */
  readonly tools: boolean;
  /** Separates thinking. */
  readonly thinking: boolean;
  /** Special tokens that must be visible in the text. */
  readonly preserved: readonly string[];
  create(setup: ParserSetup): OutputParser;
}

const parsers: Readonly<Record<string, NamedParser>> = {
  cogito,
  cohere,
  deepseek3,
  functiongemma,
  gemma4,
  "gemma4-no-thinking": gemma4NoThinking,
  glimmer,
  "glm-4.7": glm47,
  "glm-ocr": glmOcr,
  harmony,
  laguna,
  lfm2,
  "lfm2-thinking": lfm2Thinking,
  ministral,
  "nemotron-3-nano": nemotron3,
  "nemotron-3.5-nano": nemotron3,
  olmo3,
  "olmo3-think": olmo3Think,
  ornith: qwen35,
  passthrough,
  "poolside-v1": poolside,
  qwen3,
  "qwen3-coder": qwen3Coder,
  "qwen3-thinking": qwen3Thinking,
  "qwen3-vl-instruct": qwen3VlInstruct,
  "qwen3-vl-thinking": qwen3VlThinking,
  "qwen3.5": qwen35,
};

/** Undefined for a name that stands for no parser. */
export function parserNamed(name: string): NamedParser | undefined {
  return Object.hasOwn(parsers, name) ? parsers[name] : undefined;
}

/**
 * What a model can do (api.md 2.3, create.md 10), and which of its templates renders prompts
 * (template.md 8). Decided from texts: GGUF head, configuration, Go template, Jinja template.
 */
import { TemplateError } from "../chat/gotemplate/errors.ts";
import { cachedTemplate } from "../chat/render-go.ts";
import { thinkTagsOf } from "../chat/template-marks.ts";
import type { ModelContent } from "./model.ts";
import { parserTraits } from "./parser-traits.ts";

export type Capability =
  | "completion"
  | "tools"
  | "insert"
  | "vision"
  | "embedding"
  | "thinking"
  | "image"
  | "audio";

/** Who writes the prompt: a built-in renderer, the stored Go template, the GGUF's Jinja, or nobody. */
export type TemplateChoice = "renderer" | "go" | "jinja" | "none";

export interface TemplateTraits {
  readonly tools: boolean;
  readonly thinking: boolean;
  readonly insert: boolean;
  /** Renders tool calls and tool results of earlier turns. */
  readonly roundTrip: boolean;
}

const noTraits: TemplateTraits = { tools: false, thinking: false, insert: false, roundTrip: false };

/** What a Go template can do; nothing when it does not parse: running it will say why. */
export function goTraits(template: string): TemplateTraits {
  let fields: ReadonlySet<string>;
  try {
    fields = cachedTemplate(template).fields();
  } catch (error) {
    if (error instanceof TemplateError) return noTraits;
    throw error;
  }
  const tools = fields.has("tools");
  return {
    tools,
    insert: fields.has("suffix"),
    thinking: thinkTagsOf(template) !== undefined,
    roundTrip:
      tools &&
      fields.has("toolcalls") &&
      /eq \.Role "tool"|tool_response|TOOL_RESULTS/.test(template),
  };
}

export function jinjaTraits(template: string): TemplateTraits {
  const tools = /tools|tool_call/.test(template);
  const splits =
    /split\(\s*['"]<\/think>['"]\s*\)/.test(template) &&
    !/reasoning_content|<SPECIAL_12>/.test(template);
  return {
    tools,
    insert: false,
    thinking: (template.includes("<think>") && template.includes("</think>")) || splits,
    roundTrip:
      tools &&
      /tool_calls|assistant_tool_call/.test(template) &&
      /tool_response|tool_results|ipython|role['"]\] == ['"]tool['"]|message\.role == ['"]tool['"]/.test(
        template,
      ),
  };
}

function count(traits: TemplateTraits): number {
  return [traits.tools, traits.insert, traits.thinking].filter(Boolean).length;
}

/** Whether the Jinja template does more than the Go template beside it (template.md 8). */
export function jinjaPreferred(jinja: TemplateTraits, go: TemplateTraits): boolean {
  if (count(jinja) > count(go)) return jinja.roundTrip || !go.roundTrip;
  const same =
    jinja.tools === go.tools && jinja.insert === go.insert && jinja.thinking === go.thinking;
  return same && jinja.tools && jinja.roundTrip && !go.roundTrip;
}

/** Whether a Go template writes the turns of harmony. */
export function writesHarmony(template: string): boolean {
  return template.includes("<|start|>") && template.includes("<|end|>");
}

/** gpt-oss models speak harmony, which their Go template writes. */
function isHarmony(model: ModelContent): boolean {
  const { model_family: family } = model.config;
  return /^gpt-?oss$/.test(family) && model.template !== undefined && writesHarmony(model.template);
}

/** Name of the built-in parser that reads the model's output; undefined for none. */
export function parserOf(model: ModelContent): string | undefined {
  return model.config.parser || (isHarmony(model) ? "harmony" : undefined);
}

/** @param goTemplate the variable GO_TEMPLATE, undefined when unset */
export function chooseTemplate(
  model: ModelContent,
  goTemplate: boolean | undefined,
): TemplateChoice {
  if (model.config.renderer) return "renderer";
  const jinja = model.gguf?.facts.chatTemplate;
  if (model.template === undefined) return jinja === undefined ? "none" : "jinja";
  if (model.config.parser || isHarmony(model) || jinja === undefined) return "go";
  if (goTemplate !== undefined) return goTemplate ? "go" : "jinja";
  return jinjaPreferred(jinjaTraits(jinja), goTraits(model.template)) ? "jinja" : "go";
}

/** What was found of contents, which never change, by the variable. */
const known = new WeakMap<ModelContent, Map<boolean | undefined, readonly Capability[]>>();

/** The list in the order in which it is found. */
export function capabilitiesOf(
  model: ModelContent,
  goTemplate: boolean | undefined,
): readonly Capability[] {
  const before = known.get(model) ?? new Map<boolean | undefined, readonly Capability[]>();
  const list = before.get(goTemplate) ?? findCapabilities(model, goTemplate);
  known.set(model, before.set(goTemplate, list));
  return list;
}

function findCapabilities(
  model: ModelContent,
  goTemplate: boolean | undefined,
): readonly Capability[] {
  const found = new Set<string>(model.config.capabilities ?? []);
  const facts = model.gguf?.facts;
  if (facts === undefined) return [...found] as Capability[];
  const choice = chooseTemplate(model, goTemplate);
  if (choice === "jinja" && facts.chatTemplate !== undefined) {
    const traits = jinjaTraits(facts.chatTemplate);
    if (traits.tools) found.add("tools");
    if (traits.thinking) found.add("thinking");
  }
  found.add(facts.pooled ? "embedding" : "completion");
  if (facts.vision) found.add("vision");
  if (facts.audio) found.add("audio");
  if (model.projectorPaths.length > 0) found.add("vision");
  if (model.projectorFacts.some(({ audio }) => audio)) found.add("audio");
  // A template counts beside a renderer too.
  if (choice !== "jinja" && model.template !== undefined) {
    const traits = goTraits(model.template);
    if (traits.tools) found.add("tools");
    if (traits.insert) found.add("insert");
    if (traits.thinking) found.add("thinking");
  }
  const parser = parserTraits.get(model.config.parser ?? "");
  if (parser?.tools) found.add("tools");
  if (parser?.thinking) found.add("thinking");
  if (/^gpt-?oss$/.test(model.config.model_family)) found.add("thinking");
  return [...found] as Capability[];
}

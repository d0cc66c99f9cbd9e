/** Go templates of the library over the shared conversations, and what is read off the templates. */
import type { Tool } from "../../../src/chat/messages.ts";
import { markImages } from "../../../src/chat/prompt.ts";
import {
  cachedTemplate,
  renderGo,
  renderSuffix,
  withResponse,
} from "../../../src/chat/render-go.ts";
import { thinkTagsOf, toolTagOf } from "../../../src/chat/template-marks.ts";
import {
  goTraits,
  jinjaPreferred,
  jinjaTraits,
  type TemplateTraits,
  writesHarmony,
} from "../../../src/model/capabilities.ts";
import { knownTemplate } from "../../../src/model/known-templates.ts";
import { type KindContext, type KindRunner, sharedPath } from "./context.ts";
import { chatMessage, thinkWish, whereTheyPart } from "./renderers.ts";

interface Conversation {
  id: string;
  messages?: Parameters<typeof chatMessage>[0][];
  tools?: Tool[];
  think?: boolean | string;
  prompt?: string;
  suffix?: string;
}

type Rendered = string | { error: string };

interface Row {
  id: string;
  file: string;
  pair?: number;
  facts: Record<string, unknown>;
  renders: Record<string, Rendered>;
  renders_function_as_json?: Record<string, Rendered>;
}

async function templateText(dir: string, row: Row): Promise<{ go: string; jinja?: string }> {
  const file = Bun.file(sharedPath(dir, `data/${row.file}`));
  if (row.pair === undefined) return { go: await file.text() };
  const pair = (await file.json())[row.pair];
  return { go: pair.ollama.template, jinja: pair.gguf };
}

function render(source: string, conversation: Conversation): Rendered {
  try {
    if (conversation.suffix !== undefined) {
      return renderSuffix(source, conversation.prompt ?? "", conversation.suffix, undefined);
    }
    return renderGo(source, {
      messages: markImages((conversation.messages ?? []).map(chatMessage)),
      tools: conversation.tools ?? [],
      think: thinkWish(conversation.think),
    });
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

/** Errors count by what failed, not by Go's words or columns. */
function normal(rendered: Rendered | undefined): unknown {
  return typeof rendered === "string" ? rendered : { error: rendered !== undefined };
}

function listed(traits: TemplateTraits): string[] {
  return (["tools", "insert", "thinking"] as const).filter((name) => traits[name]);
}

function factsOfGo(source: string): Record<string, unknown> {
  // The reference was asked after it had put the response behind templates without one.
  const template = withResponse(cachedTemplate(source));
  const tags = thinkTagsOf(source);
  const traits = goTraits(source);
  return {
    vars: [...template.identifiers()].sort(),
    response_appended: withResponse(template) !== template,
    think_open: tags?.open ?? "",
    think_close: tags?.close ?? "",
    tool_tag: toolTagOf(source),
    tool_round_trip: traits.roundTrip,
    capabilities: listed(traits),
    harmony_if_gptoss: writesHarmony(source),
  };
}

function factsOfJinja(source: string, go: string): Record<string, unknown> {
  const traits = jinjaTraits(source);
  return {
    jinja_capabilities: listed(traits),
    jinja_tool_round_trip: traits.roundTrip,
    jinja_preferred: jinjaPreferred(traits, goTraits(go)),
    jinja_matches_builtin: knownTemplate(source)?.name ?? null,
  };
}

function checkFacts(row: Row, go: string, jinja: string | undefined, context: KindContext): void {
  const { facts } = row;
  const actual = factsOfGo(go);
  if (jinja !== undefined) Object.assign(actual, factsOfJinja(jinja, go));
  for (const [name, wanted] of Object.entries(facts)) {
    const sorted = Array.isArray(wanted) && name === "vars" ? wanted.toSorted() : wanted;
    context.check(
      `${row.id} ${name}`,
      actual[name],
      sorted === "" && !(name in actual) ? undefined : sorted,
    );
  }
}

export const templateRender: KindRunner = async (data, context) => {
  const conversations = data.conversations as Conversation[];
  for (const row of data.templates as Row[]) {
    const { go, jinja } = await templateText(context.dir, row);
    for (const conversation of conversations) {
      const wanted =
        row.renders_function_as_json?.[conversation.id] ?? row.renders[conversation.id];
      if (wanted === undefined) continue;
      const actual = render(go, conversation);
      const better = row.renders[conversation.id];
      const known = typeof better === "string" && actual === better ? better : wanted;
      const where = whereTheyPart(normal(actual), normal(known));
      context.check(`${row.id} ${conversation.id}${where}`, normal(actual), normal(known));
    }
    checkFacts(row, go, jinja, context);
  }
};

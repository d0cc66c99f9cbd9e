/** A conversation through a Go template, in the three shapes that templates expect (template.md 1 to 3). */
import { messageValue, toolsValue } from "./go-values.ts";
import type { Rendering } from "./gotemplate/execute.ts";
import { atOnce, parseTemplate, type Template } from "./gotemplate/template.ts";
import type { Expression, Node, Pipe } from "./gotemplate/tree.ts";
import type { ChatMessage, Conversation, ThinkWish } from "./messages.ts";
import { inTurns } from "./turns.ts";

/** Parsed templates by text; a model's template is parsed once. */
const parsed = new Map<string, Template>();
const mostParsed = 256;

/** @throws TemplateError */
export function cachedTemplate(source: string): Template {
  const known = parsed.get(source);
  if (known !== undefined) return known;
  const template = parseTemplate(source);
  if (parsed.size >= mostParsed) parsed.clear();
  parsed.set(source, template);
  return template;
}

function thinkFields(think: ThinkWish | undefined): Record<string, unknown> {
  return {
    Think: think?.on ?? false,
    ThinkLevel: think?.level ?? "",
    IsThinkSet: think !== undefined,
  };
}

/** Neighbouring messages of one role become one, a blank line between; tool messages stay apart. */
function collate(messages: readonly ChatMessage[]): {
  system: string;
  messages: ChatMessage[];
} {
  const merged: ChatMessage[] = [];
  for (const message of messages) {
    const last = merged.at(-1);
    if (last !== undefined && last.role === message.role && message.role !== "tool") {
      merged[merged.length - 1] = { ...last, content: `${last.content}\n\n${message.content}` };
    } else merged.push(message);
  }
  const system = messages
    .filter(({ role }) => role === "system")
    .map(({ content }) => content)
    .join("\n\n");
  return { system, messages: merged };
}

function isResponse(operand: Expression): boolean {
  if (operand.kind === "field") return operand.names[0] === "Response";
  if (operand.kind === "variable") return operand.name === "$" && operand.fields[0] === "Response";
  return operand.kind === "pipe" && pipeHasResponse(operand.pipe);
}

function pipeHasResponse(pipe: Pipe): boolean {
  return pipe.commands.some(({ operands }) => operands.some(isResponse));
}

/** The nodes up to and with the first action that prints `.Response`; found says whether there is one. */
function upToResponse(nodes: readonly Node[]): { nodes: Node[]; found: boolean } {
  const kept: Node[] = [];
  for (const node of nodes) {
    if (node.kind === "action" && pipeHasResponse(node.pipe)) {
      kept.push(node);
      return { nodes: kept, found: true };
    }
    if (node.kind === "if" || node.kind === "with" || node.kind === "range") {
      const body = upToResponse(node.body);
      if (body.found) {
        // The other branch is another way through the template: it is cut at its own `.Response`.
        kept.push({ ...node, body: body.nodes, otherwise: upToResponse(node.otherwise).nodes });
        return { nodes: kept, found: true };
      }
      const otherwise = upToResponse(node.otherwise);
      if (otherwise.found) {
        kept.push({ ...node, otherwise: otherwise.nodes });
        return { nodes: kept, found: true };
      }
    }
    kept.push(node);
  }
  return { nodes: kept, found: false };
}

/** A template of neither messages nor responses gets the response behind it. */
export function withResponse(template: Template): Template {
  const uses = template.fields();
  if (uses.has("messages") || uses.has("response")) return template;
  return cachedTemplate(`${template.source}{{ .Response }}`);
}

/** Rounds of system, prompt and response, for templates that know no messages (template.md 3). */
function* renderRounds(template: Template, conversation: Conversation): Rendering {
  const complete = withResponse(template);
  const think = thinkFields(conversation.think);
  let out = "";
  let system = "";
  let prompt = "";
  let response = "";
  const flush = function* (): Rendering<void> {
    const round = { System: system, Prompt: prompt, Response: response, ...think };
    out += yield* complete.rendering(round);
    yield;
    system = "";
    prompt = "";
    response = "";
  };
  for (const { role, content } of collate(conversation.messages).messages) {
    if (role === "system") {
      if (prompt !== "" || response !== "") yield* flush();
      system = content;
    } else if (role === "user") {
      if (response !== "") yield* flush();
      prompt = content;
    } else if (role === "assistant") {
      response = content;
    }
  }
  const last = complete.withRoot(upToResponse(complete.root).nodes);
  const round = { System: system, Prompt: prompt, Response: response, ...think };
  return out + (yield* last.rendering(round));
}

function* rendering(source: string, conversation: Conversation): Rendering {
  const template = cachedTemplate(source);
  if (!template.fields().has("messages")) return yield* renderRounds(template, conversation);
  const { system, messages } = collate(conversation.messages);
  yield;
  return yield* template.rendering({
    System: system,
    Messages: messages.map(messageValue),
    Tools: toolsValue(conversation),
    Response: "",
    ...thinkFields(conversation.think),
  });
}

/** @throws TemplateError when the template fails */
export function renderGo(source: string, conversation: Conversation): string {
  return atOnce(rendering(source, conversation));
}

/** The same, with others served in between. @throws TemplateError */
export function renderGoInTurns(source: string, conversation: Conversation): Promise<string> {
  return inTurns(rendering(source, conversation));
}

/** Fill in the middle: only prompt and suffix (api.md 5). @throws TemplateError */
export function renderSuffix(
  source: string,
  prompt: string,
  suffix: string,
  think: ThinkWish | undefined,
): string {
  return cachedTemplate(source).render({
    Prompt: prompt,
    Suffix: suffix,
    Response: "",
    ...thinkFields(think),
  });
}

/** Qwen3-Coder, Qwen3.5 and Ornith: ChatML with calls as tags. */
import { InvalidRequestError } from "../../errors.ts";
import type { ChatMessage, Conversation, Tool } from "../messages.ts";
import { jsonText, propertyMembers, sorted } from "./json.ts";
import { spacedTools } from "./qwen-vl.ts";
import { type TagDialect, toolTags, written } from "./tool-tags.ts";
import {
  bareValue,
  ImageMarkers,
  isQuery,
  lastQuery,
  opensAnswer,
  type Renderer,
} from "./turns.ts";

export const toolsHead = `# Tools

You have access to the following functions:

<tools>`;

export const toolsFoot = `
</tools>

If you choose to call a function ONLY reply in the following format with NO suffix:

<tool_call>
<function=example_function_name>
<parameter=example_parameter_1>
value_1
</parameter>
<parameter=example_parameter_2>
This is the value for the second parameter
that can span
multiple lines
</parameter>
</function>
</tool_call>

<IMPORTANT>
Reminder:
- Function calls MUST follow the specified format: an inner <function=...></function> block must be nested within <tool_call></tool_call> XML tags
- Required parameters MUST be specified
- You may provide optional reasoning for your function call in natural language BEFORE the function call, but NOT after
- If there is no function call available, answer the question like normal with your current knowledge and do not tell the user about function calls
</IMPORTANT>`;

const dialect: TagDialect = {
  description: (text) => text,
  types: (names) => jsonText(names),
  members(property) {
    const { anyOf, items, enum: values, properties, required } = propertyMembers(property);
    return written(
      { anyOf, items, enum: values, properties: sorted(properties), required },
      bareValue,
    );
  },
  foot: ({ items, required, $defs }) => written({ items, required, $defs }, bareValue),
};

/** One call as tags. */
function callTags(call: { name: string; arguments: Readonly<Record<string, unknown>> }): string {
  const values = Object.entries(call.arguments)
    .map(([key, value]) => `<parameter=${key}>\n${bareValue(value)}\n</parameter>\n`)
    .join("");
  return `<tool_call>\n<function=${call.name}>\n${values}</function>\n</tool_call>`;
}

export const qwenCoder: Renderer = ({ messages: all, tools }) => {
  const isRule = ({ role, content }: ChatMessage) => role === "system" && content !== "";
  const system = all.find(isRule)?.content ?? "";
  const messages = all.filter(({ role }) => role !== "system");
  let out = "";
  if (system !== "" || tools.length > 0) {
    const given =
      system ||
      "You are Qwen, a helpful AI assistant that can interact with a computer to solve tasks.";
    out += `<|im_start|>system\n${given}`;
    if (tools.length > 0)
      out += `\n\n${toolsHead}${tools.map((tool) => toolTags(tool, dialect)).join("")}${toolsFoot}`;
    out += "<|im_end|>\n";
  }
  for (const [i, message] of messages.entries()) {
    if (message.role === "tool") {
      if (messages[i - 1]?.role !== "tool") out += "<|im_start|>user\n";
      out += `<tool_response>\n${message.content}\n</tool_response>`;
      out += messages[i + 1]?.role === "tool" ? "\n" : "<|im_end|>\n";
      continue;
    }
    out += `<|im_start|>${message.role}\n${message.content}`;
    const calls = message.toolCalls ?? [];
    if (calls.length > 0 && message.content !== "") out += "\n";
    out += calls.map(({ function: fn }) => `\n${callTags(fn)}`).join("");
    if (calls.length > 0 || !opensAnswer(messages, i)) out += "<|im_end|>\n";
  }
  const open = messages.length > 0 && !opensAnswer(messages, messages.length - 1);
  return open ? `${out}<|im_start|>assistant\n` : out;
};

interface Qwen35Options {
  /** Thinking of earlier rounds is kept. */
  readonly keepsThinking: boolean;
  /** Thinking in tags inside the content stays where it is. */
  readonly keepsInline?: boolean;
}

/** Thoughts and text of a message: its own thoughts, else those in tags within the text. */
function parted(message: ChatMessage, content: string, keepsInline: boolean): [string, string] {
  const end = content.indexOf("</think>");
  if (keepsInline || end < 0) return [(message.thinking ?? "").trim(), content];
  const before = content.slice(0, end).split("<think>").at(-1) ?? "";
  return [before.trim(), content.slice(end + "</think>".length).replace(/^\n+/, "")];
}

function spoken(
  message: ChatMessage,
  content: string,
  shown: boolean,
  keepsInline: boolean,
): string {
  const own = shown && (message.thinking ?? "") !== "";
  const [thinking, text] = parted(message, content, keepsInline || own);
  const calls = (message.toolCalls ?? []).map(({ function: fn }) => callTags(fn)).join("\n");
  const gap = calls !== "" && text.trim() !== "" ? "\n\n" : "";
  return `${shown ? `<think>\n${thinking}\n</think>\n\n` : ""}${text}${gap}${calls}`;
}

/** The system turn of Qwen3.5. */
function rules({ messages, tools }: Conversation): string {
  const first = messages[0]?.role === "system" ? messages[0] : undefined;
  const system = first === undefined ? "" : new ImageMarkers().spaced(first).trim();
  if (first === undefined && tools.length === 0) return "";
  return systemTurn([toolsText(tools), system]);
}

function toolsText(tools: readonly Tool[]): string {
  return tools.length > 0 ? `${toolsHead}${spacedTools(tools)}${toolsFoot}` : "";
}

function systemTurn(parts: readonly string[]): string {
  return `<|im_start|>system\n${parts.filter((part) => part !== "").join("\n\n")}<|im_end|>\n`;
}

/** All turns but a system message in front, and the opening of the answer. */
function turns({ messages, think }: Conversation, options: Qwen35Options): string {
  const images = new ImageMarkers();
  const query = lastQuery(messages);
  let out = "";
  for (const [i, message] of messages.entries()) {
    const content = images.spaced(message).trim();
    const { role } = message;
    if (role === "assistant") {
      const shown = options.keepsThinking || (i > query && think?.on !== false);
      out += `<|im_start|>assistant\n${spoken(message, content, shown, options.keepsInline === true)}`;
      if (!opensAnswer(messages, i)) out += "<|im_end|>\n";
    } else if (role === "tool") {
      if (messages[i - 1]?.role !== "tool") out += "<|im_start|>user";
      out += `\n<tool_response>\n${content}\n</tool_response>`;
      if (messages[i + 1]?.role !== "tool") out += "<|im_end|>\n";
    } else if (role === "user" || (role === "system" && i > 0) || options.keepsInline === true) {
      if (role !== "system" || i > 0) out += `<|im_start|>${role}\n${content}<|im_end|>\n`;
    }
  }
  if (messages.length === 0 || opensAnswer(messages, messages.length - 1)) return out;
  return `${out}<|im_start|>assistant\n<think>\n${think?.on === false ? "\n</think>\n\n" : ""}`;
}

export function qwen35(options: Qwen35Options): Renderer {
  return (conversation) => rules(conversation) + turns(conversation, options);
}

const isInstruction = ({ role }: ChatMessage) => role === "system" || role === "developer";

/** Instructions of all places become one system message in front. */
function gathered(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const instructions = messages.filter(isInstruction);
  const pictured = instructions.find(({ images = [] }) => images.length > 0);
  if (pictured !== undefined) {
    throw new InvalidRequestError(`${pictured.role} message cannot contain images`);
  }
  if (instructions.length === 0) return messages;
  if (instructions.length === 1 && messages[0]?.role === "system") return messages;
  const texts = instructions.map(({ content }) => content.trim()).filter((text) => text !== "");
  const others = messages.filter((message) => !isInstruction(message));
  return [{ role: "system", content: texts.join("\n\n") }, ...others];
}

function checkUser(messages: readonly ChatMessage[]): void {
  if (messages.length === 0) throw new InvalidRequestError("no messages provided");
  if (!messages.some(isQuery)) {
    throw new InvalidRequestError("no user query found in messages");
  }
}

const hard =
  "Reasoning effort is set to xhigh. Please think carefully through the task, validate key assumptions, consider plausible alternatives, and prioritize correctness, consistency, and clarity in the final answer.";
const brief =
  "Reasoning effort is set to low. Keep your thinking brief and focused, moving directly to the conclusion without unnecessary elaboration.";

/** How hard Qwen3.8 is told to think; without the caller's choice, hard. */
const efforts: Readonly<Record<string, string>> = { low: brief, high: hard, max: hard };

export const qwen38: Renderer = (conversation) => {
  const messages = gathered(conversation.messages);
  checkUser(messages);
  const { tools, think } = conversation;
  const system = messages[0]?.role === "system" ? messages[0].content.trim() : "";
  const effort = think === undefined ? hard : (efforts[think.level] ?? "");
  const parts = [effort, toolsText(tools), system];
  const head = parts.some((part) => part !== "") ? systemTurn(parts) : "";
  return head + turns({ ...conversation, messages }, { keepsThinking: true, keepsInline: true });
};

/** Qwen3-Coder, Qwen3.5 and Ornith: ChatML with calls as tags. */
import { InvalidRequestError } from "../../errors.ts";
import type { ChatMessage, Conversation } from "../messages.ts";
import { jsonText, propertiesMembers, propertyMembers, sorted } from "./json.ts";
import { spacedTools } from "./qwen-vl.ts";
import { type TagDialect, toolTags } from "./tool-tags.ts";
import {
  bareValue,
  ImageMarkers,
  lastUser,
  opensAnswer,
  type Renderer,
  splitInline,
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
  json: (value) => jsonText(value),
  types: (names) => jsonText(names),
  members(property) {
    const members = propertyMembers(property);
    return [
      ["anyOf", members.anyOf],
      ["items", members.items],
      ["enum", members.enum],
      ["properties", property.properties && sorted(propertiesMembers(property.properties))],
      ["required", members.required],
    ];
  },
  foot: (required, definitions) => [
    ["required", required],
    ["$defs", definitions],
  ],
};

/** One call as tags. */
function callTags(call: { name: string; arguments: Readonly<Record<string, unknown>> }): string {
  const values = Object.entries(call.arguments)
    .map(([key, value]) => `<parameter=${key}>\n${bareValue(value)}\n</parameter>\n`)
    .join("");
  return `<tool_call>\n<function=${call.name}>\n${values}</function>\n</tool_call>`;
}

export const qwenCoder: Renderer = ({ messages: all, tools }) => {
  const system = all.find(({ role }) => role === "system")?.content ?? "";
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
    if (!opensAnswer(messages, i)) out += "<|im_end|>\n";
  }
  const open = messages.length > 0 && !opensAnswer(messages, messages.length - 1);
  return open ? `${out}<|im_start|>assistant\n` : out;
};

interface Qwen35Options {
  /** Thinking of earlier rounds is kept. */
  readonly keepsThinking: boolean;
  /** Text that opens the system message. */
  readonly preamble?: (conversation: Conversation) => string;
  readonly needsUser?: boolean;
  /** System messages are gathered in front. */
  readonly gathersSystem?: boolean;
  /** Thinking in tags inside the content stays where it is. */
  readonly keepsInline?: boolean;
}

function spoken(message: ChatMessage, shown: boolean, keepsInline: boolean): string {
  const { thinking, content } = keepsInline
    ? { thinking: message.thinking ?? "", content: message.content }
    : splitInline(message);
  const calls = (message.toolCalls ?? []).map(({ function: fn }) => callTags(fn)).join("\n");
  const text = content.trim();
  const gap = calls !== "" && text !== "" ? "\n\n" : "";
  return `${shown ? `<think>\n${thinking.trim()}\n</think>\n\n` : ""}${text}${gap}${calls}`;
}

export function qwen35(options: Qwen35Options): Renderer {
  return (conversation) => {
    const { messages, tools, think } = conversation;
    if (options.needsUser === true) checkUser(messages);
    const images = new ImageMarkers();
    const query = lastUser(messages);
    const isSystem = ({ role }: ChatMessage, i: number) =>
      role === "system" && (i === 0 || options.gathersSystem === true);
    const gathered = messages.filter(isSystem);
    const preamble = options.preamble?.(conversation) ?? "";
    const system = gathered.map(({ content }) => content.trim()).join("\n\n");
    const parts = [
      preamble,
      tools.length > 0 ? `${toolsHead}${spacedTools(tools)}${toolsFoot}` : "",
      system,
    ].filter((part) => part !== "");
    let out = "";
    if (gathered.length > 0 || parts.length > 0) {
      out += `<|im_start|>system\n${parts.join("\n\n")}<|im_end|>\n`;
    }
    for (const [i, message] of messages.entries()) {
      if (isSystem(message, i)) continue;
      const content = images.mark(message, " ").trim();
      if (message.role === "assistant") {
        const shown = options.keepsThinking || (i > query && think?.on !== false);
        out += `<|im_start|>assistant\n${spoken(message, shown, options.keepsInline === true)}`;
        if (!opensAnswer(messages, i)) out += "<|im_end|>\n";
      } else if (message.role === "tool") {
        if (messages[i - 1]?.role !== "tool") out += "<|im_start|>user";
        out += `\n<tool_response>\n${content}\n</tool_response>`;
        if (messages[i + 1]?.role !== "tool") out += "<|im_end|>\n";
      } else out += `<|im_start|>${message.role}\n${content}<|im_end|>\n`;
    }
    if (messages.length > 0 && !opensAnswer(messages, messages.length - 1)) {
      out += `<|im_start|>assistant\n<think>\n${think?.on === false ? "\n</think>\n\n" : ""}`;
    }
    return out;
  };
}

function checkUser(messages: readonly ChatMessage[]): void {
  if (messages.length === 0) throw new InvalidRequestError("no messages provided");
  if (lastUser(messages) < 0) throw new InvalidRequestError("no user query found in messages");
}

const effort =
  "Reasoning effort is set to xhigh. Please think carefully through the task, validate key assumptions, consider plausible alternatives, and prioritize correctness, consistency, and clarity in the final answer.";

/** Qwen3.8 is told to think hard unless the caller chose otherwise. */
export const qwen38 = qwen35({
  keepsThinking: true,
  needsUser: true,
  gathersSystem: true,
  keepsInline: true,
  preamble: ({ think }) =>
    think === undefined || think.level === "high" || think.level === "max" ? effort : "",
});

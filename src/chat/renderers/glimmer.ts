/** Glimmer: messages with recipients, calls as invoke blocks. Its introduction names today's date. */
import type { ChatMessage, Conversation, Tool } from "../messages.ts";
import { jsonText, parametersMembers, sorted } from "./json.ts";
import { bareValue, ImageMarkers, type Renderer } from "./turns.ts";

function today(): string {
  const now = new Date();
  const two = (part: number) => String(part).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}

const style = { spaced: true, plain: true } as const;

function schema(tool: Tool): string {
  const { name, description = "" } = tool.function;
  return jsonText({ name, description, parameters: parametersMembers(tool) }, style);
}

/** What stands before the first dot of the tools' names. */
function namespaces(tools: readonly Tool[]): string[] {
  return [...new Set(tools.map((tool) => tool.function.name.split(".")[0] ?? ""))];
}

function toolsText(tools: readonly Tool[]): string {
  const metadata = namespaces(tools).map((name) => jsonText({ name, description: "" }, style));
  return `In this environment you have access to a set of tools you can use to answer the user's question.

You can invoke a function by writing a "<atem:function_calls>" block like the following:
<atem:function_calls>
<atem:invoke name="$FUNCTION_NAME">
<atem:parameter name="$PARAMETER_NAME">$PARAMETER_VALUE</atem:parameter>
...
</atem:invoke>
</atem:function_calls>

String and scalar parameters should be specified as is, while lists and objects should use JSON format. Note that spaces for string values are not stripped. The output is not expected to be valid XML and is parsed with regular expressions.
Here are the functions available in JSONSchema format:
// Tool metadata
${metadata.join("\n")}
// Function schemas
${tools.map(schema).join("\n")}

Here's an example of how to call a function in the tool set:
(If the tool namespace is not specified, invoke the function directly as \`example_function_name\` rather than \`example_tool_name.example_function_name\`)

to=example_tool_name.example_function_name

<atem:function_calls>
<atem:invoke name="example_tool_name.example_function_name">
<atem:parameter name="example_parameter_1">value_1</atem:parameter>
<atem:parameter name="example_parameter_2">This is the value for the second parameter
that can span
"multiple" lines
</atem:parameter>
</atem:invoke>
</atem:function_calls>

`;
}

function strength({ think }: Conversation): string {
  if (think?.on === false) return "none";
  return think?.named === true ? think.level : "high";
}

function system(given: string, conversation: Conversation): string {
  const { tools } = conversation;
  const names = namespaces(tools)
    .map((name) => ` "${name}.*",`)
    .join("");
  const offered = tools.length > 0 ? toolsText(tools) : "";
  const told = /reasoning strength/i.test(given);
  const strengthText = told ? "" : `\n\nReasoning strength: ${strength(conversation)}.`;
  return `<|start|>system<|message|>${given}${strengthText}\n\n${offered}# Valid recipients: "self",${names} "user".<|eot|>`;
}

/** The model knows an effort under another name. */
function inItsWords(text: string): string {
  return text.replace(/(reasoning )(effort)/gi, (whole, first: string, second: string) => {
    if (/^[Rr]easoning $/.test(first) && second === "effort") return `${first}strength`;
    if (first === "Reasoning " && second === "Effort") return `${first}Strength`;
    return first === "REASONING " && second === "EFFORT" ? `${first}STRENGTH` : whole;
  });
}

/** The tool that a result is of: as it says, else the one that was called under its id. */
function toolOf({ toolName, toolCallId }: ChatMessage, messages: readonly ChatMessage[]): string {
  if (toolName || !toolCallId) return toolName ?? "";
  const calls = messages.flatMap(({ toolCalls = [] }) => toolCalls);
  return calls.findLast(({ id }) => id === toolCallId)?.function.name ?? toolCallId;
}

function argument(value: unknown): string {
  if (typeof value !== "object" || value === null) return bareValue(value);
  return jsonText(sorted(value), style);
}

/** `goesOn`: another message of the assistant follows. */
function spoken(message: ChatMessage, content: string, goesOn: boolean): string {
  const parts: string[] = [];
  if (message.thinking) parts.push(`<|start|>assistant to=self<|message|>${message.thinking}`);
  for (const { function: fn } of message.toolCalls ?? []) {
    const values = Object.entries(fn.arguments).map(
      ([key, value]) => `<atem:parameter name="${key}">${argument(value)}</atem:parameter>\n`,
    );
    parts.push(
      `<|start|>assistant to=${fn.name}<|message|><atem:function_calls>\n<atem:invoke name="${fn.name}">\n${values.join("")}</atem:invoke>\n</atem:function_calls>`,
    );
  }
  const calls = (message.toolCalls ?? []).length > 0;
  const text = !calls && (content !== "" || parts.length === 0);
  if (text) parts.push(`<|start|>assistant to=user<|message|>${content}`);
  // Neither thinking alone nor a call before a further message ends the turn.
  const ends = text || (calls && !goesOn);
  return parts
    .map((part, i) => part + (ends && i === parts.length - 1 ? "<|eot|>" : "<|eom|>"))
    .join("");
}

export const glimmer: Renderer = (conversation) => {
  const { messages } = conversation;
  const images = new ImageMarkers();
  let out = "<|begin_of_text|>";
  if (!messages.some(({ role }) => role === "system")) {
    const introduction = `You are a helpful AI assistant.\nKnowledge cutoff: 2026-01-04.\nCurrent date: ${today()}.`;
    out += system(introduction, conversation);
  }
  for (const [i, message] of messages.entries()) {
    const content = images.spaced(message);
    const { role } = message;
    if (role === "system") out += system(inItsWords(content), conversation);
    else if (role === "assistant") {
      out += spoken(message, content, messages[i + 1]?.role === "assistant");
    } else if (role === "tool") {
      const name = toolOf(message, messages);
      out += `<|start|>tool ${name}<|message|><tool_output name="${name}">\n${content}\n</tool_output><|eot|>`;
    } else if (role === "user") out += `<|start|>user<|message|>${content}<|eot|>`;
  }
  return `${out}<|start|>assistant`;
};

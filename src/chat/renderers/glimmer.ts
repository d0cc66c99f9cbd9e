/** Glimmer: messages with recipients, calls as invoke blocks. Its introduction names today's date. */
import type { ChatMessage, Conversation, Tool } from "../messages.ts";
import { jsonText, parametersMembers, sorted } from "./json.ts";
import { bareValue, ImageMarkers, type Renderer } from "./turns.ts";

function today(): string {
  const now = new Date();
  const two = (part: number) => String(part).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}

function schema(tool: Tool): string {
  const { name, description = "" } = tool.function;
  const parameters = jsonText(parametersMembers(tool), { spaced: true });
  return `{"name": ${JSON.stringify(name)}, "description": ${JSON.stringify(description)}, "parameters": ${parameters}}`;
}

function toolsText(tools: readonly Tool[]): string {
  const metadata = tools.map(
    (tool) => `{"name": ${JSON.stringify(tool.function.name)}, "description": ""}`,
  );
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
  const names = tools.map((tool) => ` "${tool.function.name}.*",`).join("");
  const offered = tools.length > 0 ? toolsText(tools) : "";
  return `<|start|>system<|message|>${given}\n\nReasoning strength: ${strength(conversation)}.\n\n${offered}# Valid recipients: "self",${names} "user".<|eot|>`;
}

function argument(value: unknown): string {
  if (typeof value !== "object" || value === null) return bareValue(value);
  return jsonText(sorted(value), { spaced: true, plain: true });
}

function spoken(message: ChatMessage): string {
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
  const text = message.content !== "" || parts.length === 0;
  if (!calls && text) parts.push(`<|start|>assistant to=user<|message|>${message.content}`);
  // Thinking alone does not end the turn.
  const ends = calls || text;
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
  for (const message of messages) {
    const content = images.mark(message, " ");
    const { role, toolName = "" } = message;
    if (role === "system") out += system(content, conversation);
    else if (role === "assistant") out += spoken(message);
    else if (role === "tool") {
      out += `<|start|>tool ${toolName}<|message|><tool_output name="${toolName}">\n${content}\n</tool_output><|eot|>`;
    } else out += `<|start|>${role}<|message|>${content}<|eot|>`;
  }
  return `${out}<|start|>assistant`;
};

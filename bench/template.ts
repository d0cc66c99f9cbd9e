/**
 * How long a Go template takes: parsing once, and rendering a chat of 20 messages with two tools.
 * `bun bench/template.ts`; the target is a render of under 1 ms.
 */

import { parseTemplate } from "../src/chat/gotemplate/template.ts";
import type { ChatMessage, Tool } from "../src/chat/messages.ts";
import { renderGo } from "../src/chat/render-go.ts";

const template = `{{- if or .System .Tools }}<|im_start|>system
{{ .System }}{{ if .Tools }}
# Tools
{{- range .Tools }}
{{ . }}
{{- end }}{{ end }}<|im_end|>
{{ end }}{{ range $i, $message := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 -}}
{{- if eq .Role "user" }}<|im_start|>user
{{ .Content }}<|im_end|>
{{ else if eq .Role "assistant" }}<|im_start|>assistant
{{ if and .Thinking $last }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}
{{- range .ToolCalls }}<tool_call>
{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
</tool_call>{{ end }}{{ if not $last }}<|im_end|>
{{ end }}{{ else if eq .Role "tool" }}<|im_start|>user
<tool_response>
{{ .Content }}
</tool_response><|im_end|>
{{ end }}{{ if and (ne .Role "assistant") $last }}<|im_start|>assistant
{{ end }}{{ end }}`;

const tool = (name: string): Tool => ({
  type: "function",
  function: {
    name,
    description: `Says what ${name} is.`,
    parameters: {
      type: "object",
      required: ["city"],
      properties: { city: { type: "string", description: "A city" }, days: { type: "integer" } },
    },
  },
});

const messages = Array.from({ length: 20 }, (_, i): ChatMessage => {
  const content = `Message ${i}: ${"some words of a chat ".repeat(20)}`;
  if (i % 5 === 3) return { role: "tool", content, toolName: "weather" };
  if (i % 5 !== 2) return { role: i % 2 === 0 ? "user" : "assistant", content };
  const call = { function: { name: "weather", arguments: { city: "Oslo", days: i } } };
  return { role: "assistant", content: "", toolCalls: [call] };
});
const conversation = { messages, tools: [tool("weather"), tool("time")], think: undefined };

/** Median milliseconds of `rounds` runs. */
function median(rounds: number, work: () => unknown): number {
  const times = Array.from({ length: rounds }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[rounds >> 1] ?? 0;
}

const render = () => renderGo(template, conversation);
for (let i = 0; i < 200; i++) render();
const parsing = median(200, () => parseTemplate(template));
const rendering = median(2000, render);
console.log(`parse: ${parsing.toFixed(3)} ms for ${template.length} characters`);
console.log(`render: ${rendering.toFixed(3)} ms for 20 messages, ${render().length} characters`);

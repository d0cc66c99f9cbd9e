/** Laguna and Poolside: turns between tags named after the role. */
import type { ChatMessage, Tool } from "../messages.ts";
import { jsonText, sorted } from "./json.ts";
import { spacedTools } from "./qwen-vl.ts";
import { plainValue, type Renderer } from "./turns.ts";

const introduction =
  "You are a helpful, conversationally-fluent assistant made by Poolside. You are here to be helpful to users through natural language conversations.";

function toolsList(tools: readonly Tool[]): string {
  return `### Tools

You may call functions to assist with the user query.
All available function signatures are listed below:
<available_tools>${spacedTools(tools)}
</available_tools>`;
}

/** How to call, which Laguna has to be told. */
function callSyntax(thinks: boolean): string {
  const wrap = thinks
    ? "Wrap your thinking in '<think>', '</think>' tags, followed by a function call. "
    : "";
  const thoughts = thinks ? "<think> your thoughts here </think>\n" : "";
  return `

${wrap}For each function call, return an unescaped XML-like object with function name and arguments within '<tool_call>' and '</tool_call>' tags, like here:
${thoughts}<tool_call>function-name
<arg_key>argument-key</arg_key>
<arg_value>value-of-argument-key</arg_value>
</tool_call>`;
}

function argument(value: unknown): string {
  if (typeof value !== "object" || value === null) return plainValue(value);
  return jsonText(sorted(value), { spaced: true });
}

function calls(message: ChatMessage, gap: string): string {
  return (message.toolCalls ?? [])
    .map(({ function: fn }) => {
      const values = Object.entries(fn.arguments).map(
        ([key, value]) =>
          `<arg_key>${key}</arg_key>${gap}<arg_value>${argument(value)}</arg_value>${gap}`,
      );
      return `<tool_call>${fn.name}${gap}${values.join("")}</tool_call>${gap}`;
    })
    .join("");
}

/** Poolside's form: nothing is trimmed, and with thinking on every answer shows its own. */
function plainlySpoken(message: ChatMessage, thinks: boolean): string {
  const head = thinks ? `<think>${message.thinking ?? ""}` : "";
  return `${head}</think>${message.content}${calls(message, "")}`;
}

/** Thoughts and text of a message: its own thoughts, else those in tags within the text. */
function parted(message: ChatMessage): { thought: string; text: string } {
  const { content, thinking = "" } = message;
  const parts = content.split("</think>");
  const inline = parts.length > 1 ? (parts[0]?.split("<think>").at(-1) ?? "") : "";
  return { thought: (thinking || inline).trim(), text: (parts.at(-1) ?? "").trim() };
}

function spoken(message: ChatMessage, gap: string): string {
  const { thought, text } = parted(message);
  const head = thought === "" ? "" : `<think>${gap}${thought}${gap}`;
  return `${head}</think>${gap}${text}${text === "" ? "" : gap}${calls(message, gap)}`;
}

function saysNothing(message: ChatMessage): boolean {
  const { thought, text } = parted(message);
  return thought === "" && text === "" && (message.toolCalls ?? []).length === 0;
}

export const laguna = turns({ gap: "\n", tellsSyntax: true, goesOn: true });
export const poolside = turns({ gap: "", tellsSyntax: false, goesOn: false });

interface Style {
  /** Stands between tags and texts. */
  readonly gap: string;
  readonly tellsSyntax: boolean;
  /** An assistant's last message is left open. */
  readonly goesOn: boolean;
}

function turns({ gap, tellsSyntax, goesOn }: Style): Renderer {
  return ({ messages, tools, think }) => {
    const thinks = think?.on === true;
    const first = messages[0]?.role === "system" ? messages[0] : undefined;
    const given = first === undefined ? introduction : first.content.trimEnd();
    let out = "〈|EOS|〉";
    if (given !== "" || tools.length > 0 || (thinks && !goesOn)) {
      const offered = toolsList(tools) + (tellsSyntax ? callSyntax(thinks) : "");
      const parts = [given, ...(tools.length > 0 ? [offered] : [])];
      // Laguna has the blank line before its tools even where nothing stands above them.
      const text = parts.filter((part) => part !== "" || gap !== "").join("\n\n");
      out += `<system>${gap}${given === "" ? "" : gap}${text}${gap}</system>\n`;
    }
    for (const [i, message] of messages.entries()) {
      if (message === first) continue;
      const { role, content } = message;
      if (role === "assistant") {
        out += `<assistant>${gap}`;
        out += gap === "" ? plainlySpoken(message, thinks) : spoken(message, gap);
        const open = goesOn && i === messages.length - 1 && !saysNothing(message);
        if (!open) out += "</assistant>\n";
      } else if (role === "tool") {
        out += `<tool_response>${gap}${content}${gap}</tool_response>\n`;
      } else if (role === "user" || role === "system") {
        out += `<${role}>${gap}${content}${gap}</${role}>\n`;
      }
    }
    if (goesOn && messages.at(-1)?.role === "assistant") return out;
    return `${out}<assistant>${gap}${thinks ? "<think>" : "</think>"}`;
  };
}

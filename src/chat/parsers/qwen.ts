/** Qwen 3 and its relatives: thinking up to `</think>`, calls in `<tool_call>` as JSON or as tags. */
import { isPrefill, type ParserSetup } from "../output.ts";
import { jsonCall } from "./json-call.ts";
import { type Layout, MarkedParser, type Section } from "./marked.ts";
import type { NamedParser } from "./table.ts";
import { xmlCall } from "./xml-call.ts";

const callMarks = ["<tool_call>", "</tool_call>"] as const;
const thinkMarks = ["<think>", "</think>"] as const;

function section(read: Section["read"]): Section {
  return { open: callMarks[0], close: callMarks[1], read };
}

function layout(read: Section["read"], thinking?: Layout["thinking"]): Layout {
  return {
    sections: [section(read)],
    contentEnd: "vanish",
    ...(thinking === undefined ? {} : { thinking }),
  };
}

const readJson: Section["read"] = (body) => ({
  calls: [jsonCall(body.trim(), { nameless: "empty function name" })],
});
const readNamelessJson: Section["read"] = (body) => ({ calls: [jsonCall(body.trim())] });

function readXml({ tools }: ParserSetup): Section["read"] {
  return (body) => ({ calls: [xmlCall(body, tools)] });
}

/** Thinking from the first letter; the opening mark may be echoed. */
const inside = {
  open: "<think>",
  close: "</think>",
  endedBy: ["<tool_call>"],
  starts: "inside",
  keepsLeadingSpace: true,
} as const;

export const qwen3: NamedParser = {
  tools: true,
  thinking: false,
  preserved: [...thinkMarks, ...callMarks],
  create: () => new MarkedParser(layout(readJson)),
};

export const qwen3Thinking: NamedParser = {
  tools: true,
  thinking: true,
  preserved: [...thinkMarks, ...callMarks],
  create: ({ think }) =>
    new MarkedParser(layout(readJson, think?.on === false ? undefined : inside)),
};

export const qwen3VlInstruct: NamedParser = {
  tools: true,
  thinking: false,
  preserved: ["</think>", ...callMarks],
  create: () => new MarkedParser(layout(readNamelessJson)),
};

export const qwen3VlThinking: NamedParser = {
  tools: true,
  thinking: true,
  preserved: ["</think>", ...callMarks],
  create: ({ lastMessage }) => {
    const { open: _, ...thinking } = inside;
    return new MarkedParser(
      layout(readNamelessJson, isPrefill(lastMessage) ? undefined : thinking),
    );
  },
};

export const qwen3Coder: NamedParser = {
  tools: true,
  thinking: false,
  preserved: callMarks,
  create: (setup) => new MarkedParser(layout(readXml(setup))),
};

function thinkingXml(setup: ParserSetup): Layout {
  const off = setup.think?.on === false || isPrefill(setup.lastMessage);
  return layout(readXml(setup), off ? undefined : inside);
}

/** Also Ornith. */
export const qwen35: NamedParser = {
  tools: true,
  thinking: true,
  preserved: [...thinkMarks, ...callMarks],
  create: (setup) => new MarkedParser(thinkingXml(setup)),
};

export const nemotron3: NamedParser = {
  ...qwen35,
  create: (setup) => new MarkedParser({ ...thinkingXml(setup), keepsBeforeError: "thinking" }),
};

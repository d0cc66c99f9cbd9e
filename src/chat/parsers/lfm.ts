/** LFM2: calls as a Python list between marks; thinking only when the output opens with it. */
import { isPrefill } from "../output.ts";
import type { Layout } from "./marked.ts";
import { MarkedParser } from "./marked.ts";
import { pythonList } from "./python-call.ts";
import type { NamedParser } from "./table.ts";

const layout: Layout = {
  sections: [
    {
      open: "<|tool_call_start|>",
      close: "<|tool_call_end|>",
      read: (body) => ({ calls: pythonList(body) ?? [] }),
    },
  ],
  contentEnd: "stay",
};

const preserved = ["<think>", "</think>", "<|tool_call_start|>", "<|tool_call_end|>"];

export const lfm2: NamedParser = {
  tools: true,
  thinking: false,
  preserved,
  create: () => new MarkedParser(layout),
};

export const lfm2Thinking: NamedParser = {
  tools: true,
  thinking: true,
  preserved,
  create: ({ think, lastMessage }) =>
    new MarkedParser(
      think?.on !== true || isPrefill(lastMessage)
        ? layout
        : {
            ...layout,
            thinking: {
              open: "<think>",
              close: "</think>",
              endedBy: [],
              starts: "leading",
              trimsContent: true,
            },
          },
    ),
};

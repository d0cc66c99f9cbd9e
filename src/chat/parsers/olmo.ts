/** OLMo 3: calls on lines between `<function_calls>` marks; the thinking kind has no tools. */
import { isPrefill } from "../output.ts";
import { MarkedParser } from "./marked.ts";
import { pythonLines } from "./python-call.ts";
import type { NamedParser } from "./table.ts";

export const olmo3: NamedParser = {
  tools: true,
  thinking: false,
  preserved: ["<function_calls>", "</function_calls>"],
  create: () =>
    new MarkedParser({
      sections: [
        {
          open: "<function_calls>",
          close: "</function_calls>",
          // One line that is no call drops the block.
          read: (body) => ({ calls: pythonLines(body) ?? [] }),
        },
      ],
      contentEnd: "stay",
      keepsSpaceBeforeSection: true,
      keepsSpaceAfterSection: true,
    }),
};

export const olmo3Think: NamedParser = {
  tools: false,
  thinking: true,
  preserved: ["</think>"],
  create: ({ lastMessage }) =>
    new MarkedParser({
      sections: [],
      contentEnd: "stay",
      ...(isPrefill(lastMessage)
        ? {}
        : {
            thinking: {
              close: "</think>",
              endedBy: [],
              starts: "inside",
              keepsLeadingSpace: true,
            },
          }),
    }),
};

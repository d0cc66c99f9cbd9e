/** DeepSeek V3.1 and Cogito: calls between marks of one token each. */
import { isPrefill, type ParsedCall, parseObject } from "../output.ts";
import { type Layout, MarkedParser } from "./marked.ts";
import type { NamedParser } from "./table.ts";

const marks = {
  calls: ["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"],
  call: ["<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"],
  output: ["<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>"],
  outputs: ["<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>"],
  separator: "<｜tool▁sep｜>",
} as const;

/** The texts between the marks of single calls. */
function callBodies(body: string): string[] {
  const [open, close] = marks.call;
  const bodies: string[] = [];
  for (let at = body.indexOf(open); at >= 0; at = body.indexOf(open, at)) {
    const end = body.indexOf(close, at);
    if (end < 0) break;
    bodies.push(body.slice(at + open.length, end));
    at = end;
  }
  return bodies;
}

/** `name<sep>{json}`; a call that is none is left out. */
function plainCalls(body: string): ParsedCall[] {
  return callBodies(body).flatMap((text) => {
    const at = text.indexOf(marks.separator);
    if (at < 0) return [];
    const values = parseObject(text.slice(at + marks.separator.length));
    return values === undefined ? [] : [{ name: text.slice(0, at).trim(), arguments: values }];
  });
}

/** `function<sep>name`, a line break and a fenced JSON block. */
function fencedCalls(body: string): ParsedCall[] {
  return callBodies(body).flatMap((text) => {
    const at = text.indexOf(marks.separator);
    const found = /^([\s\S]*?)\n```json\n([\s\S]*?)\n```/.exec(
      text.slice(at + marks.separator.length),
    );
    const values = parseObject(found?.[2] ?? "");
    if (at < 0 || found === null || values === undefined) return [];
    return [{ name: (found[1] ?? "").trim(), arguments: values }];
  });
}

const inside: Layout["thinking"] = {
  close: "</think>",
  endedBy: [],
  starts: "inside",
  keepsLeadingSpace: true,
};

export const deepseek3: NamedParser = {
  tools: true,
  thinking: true,
  preserved: ["</think>", ...marks.calls, ...marks.call, marks.separator, ...marks.output],
  create: ({ think, lastMessage }) =>
    new MarkedParser({
      sections: [
        {
          open: marks.calls[0],
          close: marks.calls[1],
          read: (body) => ({ calls: plainCalls(body) }),
          // Calls that are whole count, the mark behind the last one missing or not.
          readOpen: (body) => ({ calls: plainCalls(body) }),
        },
        { open: marks.output[0], close: marks.output[1], read: (body) => ({ content: body }) },
      ],
      contentEnd: "stay",
      ...(think?.on === true && !isPrefill(lastMessage) ? { thinking: inside } : {}),
    }),
};

export const cogito: NamedParser = {
  tools: true,
  thinking: true,
  preserved: [
    "</think>",
    ...marks.calls,
    ...marks.call,
    marks.separator,
    ...marks.output,
    ...marks.outputs,
  ],
  create: ({ think, lastMessage, tools }) =>
    new MarkedParser({
      sections: [
        {
          open: marks.calls[0],
          close: marks.calls[1],
          read: (body) => ({ calls: fencedCalls(body) }),
          readOpen: (body) => ({ calls: fencedCalls(body) }),
        },
        { open: marks.outputs[0], close: marks.outputs[1], read: () => ({}) },
      ],
      contentEnd: "stay",
      ...(think?.on === true && tools.length === 0 && !isPrefill(lastMessage)
        ? { thinking: inside }
        : {}),
    }),
};

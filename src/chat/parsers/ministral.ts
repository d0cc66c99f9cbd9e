/** Ministral 3: `[TOOL_CALLS]name[ARGS]{json}`, thinking between `[THINK]` marks. */
import { balancedEnd, OutputParseError, parseObject } from "../output.ts";
import { MarkedParser } from "./marked.ts";
import type { NamedParser } from "./table.ts";

const argsMark = "[ARGS]";

/** End of `name[ARGS]{..}`, once the object is whole. */
function endOfCall(held: string): number | undefined {
  const args = held.indexOf(argsMark);
  if (args < 0) return undefined;
  const rest = held.slice(args + argsMark.length);
  const start = rest.search(/\S/);
  if (start < 0) return undefined;
  // Anything but an object is read at once, to say what is wrong with it.
  if (rest[start] !== "{") return held.length;
  const end = balancedEnd(rest, start);
  return end < 0 ? undefined : args + argsMark.length + end;
}

export const ministral: NamedParser = {
  tools: true,
  thinking: false,
  preserved: ["[TOOL_CALLS]", "[THINK]", "[/THINK]", argsMark],
  create: ({ tools }) =>
    new MarkedParser({
      sections: [
        {
          open: "[TOOL_CALLS]",
          close: endOfCall,
          read: (body) => {
            const [name = "", args = ""] = body.split(argsMark, 2);
            if (!tools.some((tool) => tool.function.name === name)) {
              throw new OutputParseError(`tool '${name}' not found`);
            }
            const values = parseObject(body.slice(name.length + argsMark.length));
            if (values === undefined) {
              throw new OutputParseError(`failed to parse JSON: arguments of '${name}': ${args}`);
            }
            return { calls: [{ name, arguments: values }] };
          },
        },
      ],
      contentEnd: "vanish",
      keepsSpaceAfterSection: true,
      thinking: {
        open: "[THINK]",
        close: "[/THINK]",
        endedBy: [],
        starts: "anywhere",
        keepsLeadingSpace: true,
        keepsTrailingSpace: true,
        repeats: true,
      },
    }),
};

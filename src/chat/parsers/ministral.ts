/** Ministral 3: `[TOOL_CALLS]name[ARGS]{json}`, thinking between `[THINK]` marks. */
import { OutputParseError, parseObject } from "../output.ts";
import { MarkedParser } from "./marked.ts";
import type { NamedParser } from "./table.ts";

const argsMark = "[ARGS]";

/** End of `name[ARGS]{..}`, once the object is whole. */
function endOfCall(held: string): number | undefined {
  const args = held.indexOf(argsMark);
  if (args < 0) return undefined;
  let depth = 0;
  const bracketsAndStrings = /"(?:[^"\\]|\\[\s\S])*"|"|[[\]{}]/g;
  bracketsAndStrings.lastIndex = args + argsMark.length;
  for (let found = bracketsAndStrings.exec(held); found; found = bracketsAndStrings.exec(held)) {
    const [sign] = found;
    if (sign === '"') return undefined; // a string is open
    if (sign === "{" || sign === "[") depth++;
    else if ((sign === "}" || sign === "]") && --depth === 0) return bracketsAndStrings.lastIndex;
  }
  return undefined;
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
      keepsBeforeError: "all",
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

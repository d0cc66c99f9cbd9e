/** Command A: thinking, then texts and actions between marks (output-parsing.md 5 L). */
import {
  firstMark,
  isObject,
  isPrefill,
  type Output,
  type OutputParser,
  type ParsedCall,
  type ParserSetup,
  parseObject,
  partialMark,
  topObjects,
} from "../output.ts";
import type { NamedParser } from "./table.ts";

const thinkEnd = "<|END_THINKING|>";
const textStarts = ["<|START_TEXT|>", "<|START_RESPONSE|>"];
const textEnds = ["<|END_TEXT|>", "<|END_RESPONSE|>", "<|END_OF_TURN_TOKEN|>"];
const action = ["<|START_ACTION|>", "<|END_ACTION|>"] as const;

function callOf(value: unknown): ParsedCall[] {
  if (!isObject(value)) return [];
  const { tool_name: name = "", parameters } = value;
  if (typeof name !== "string") return [];
  return [{ name, arguments: isObject(parameters) ? parameters : {} }];
}

/** A list of calls or one; where the whole is no JSON, every object that is. */
function readAction(body: string): ParsedCall[] {
  try {
    const value: unknown = JSON.parse(body);
    return (Array.isArray(value) ? value : [value]).flatMap(callOf);
  } catch {
    return Array.from(topObjects(body), ({ start, end }) =>
      callOf(parseObject(body.slice(start, end))),
    ).flat();
  }
}

class CohereParser implements OutputParser {
  #state: "thinking" | "between" | "text" | "action";
  #held = "";

  constructor({ think, lastMessage }: ParserSetup) {
    this.#state = isPrefill(lastMessage) ? "text" : think?.on === false ? "between" : "thinking";
  }

  add(text: string, last: boolean): Output {
    this.#held += text;
    let content = "";
    let thinking = "";
    const calls: ParsedCall[] = [];
    for (let before = ""; before !== this.#state; ) {
      before = this.#state;
      if (before === "thinking") thinking += this.#until([thinkEnd], "between", true);
      else if (before === "between") this.#between(last);
      else if (before === "text") content += this.#until(textEnds, "between", false);
      else calls.push(...this.#action(last));
    }
    if (last && this.#state === "text") {
      content += this.#held;
      this.#held = "";
    }
    return { content, thinking, calls };
  }

  /** Text up to one of `marks`; possible beginnings of them are held back. */
  #until(marks: readonly string[], next: "between", trims: boolean): string {
    const found = firstMark(this.#held, marks);
    if (found === undefined) {
      const whole = this.#held.slice(0, this.#held.length - partialMark(this.#held, marks));
      const text = trims ? whole.trimEnd() : whole;
      this.#held = this.#held.slice(text.length);
      return text;
    }
    const text = this.#held.slice(0, found.at);
    this.#held = this.#held.slice(found.at + found.mark.length);
    this.#state = next;
    return trims ? text.trimEnd() : text;
  }

  #between(last: boolean): void {
    this.#held = this.#held.trimStart();
    const opens = [...textStarts, action[0]];
    const mark = opens.find((open) => this.#held.startsWith(open));
    if (mark !== undefined) {
      this.#held = this.#held.slice(mark.length);
      this.#state = mark === action[0] ? "action" : "text";
    } else if (this.#held !== "" && (last || !opens.some((open) => open.startsWith(this.#held)))) {
      this.#state = "text";
    }
  }

  #action(last: boolean): ParsedCall[] {
    const end = this.#held.indexOf(action[1]);
    if (end < 0 && !last) return [];
    const body = end < 0 ? this.#held : this.#held.slice(0, end);
    this.#held = end < 0 ? "" : this.#held.slice(end + action[1].length);
    this.#state = "between";
    return readAction(body);
  }
}

export const cohere: NamedParser = {
  tools: true,
  thinking: true,
  preserved: [
    "<|START_THINKING|>",
    thinkEnd,
    "<|START_TEXT|>",
    "<|END_TEXT|>",
    ...action,
    "<|START_RESPONSE|>",
    "<|END_RESPONSE|>",
  ],
  create: (setup) => new CohereParser(setup),
};

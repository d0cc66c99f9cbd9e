/**
 * Splits output into thinking and answer by the two tags of a Go template (output-parsing.md 2).
 * Only a block that opens the output counts; later tags are plain text. What is still held back when
 * the output ends is given out: nothing a model wrote is lost.
 */
import { nothing, type Output, type OutputParser, partialMark } from "./output.ts";

/** The two tags, without white space around them. */
export interface ThinkTags {
  readonly open: string;
  readonly close: string;
}

type State = "opening" | "thinking-start" | "thinking" | "content-start" | "content";

export class ThinkingSplitter implements OutputParser {
  readonly #tags: ThinkTags;
  #state: State;
  #held = "";

  /** `promptOpens`: the prompt ends with the opening tag, so that the output begins inside. */
  constructor(tags: ThinkTags, promptOpens: boolean) {
    this.#tags = tags;
    this.#state = promptOpens ? "thinking-start" : "opening";
  }

  add(text: string, last: boolean): Output {
    this.#held += text;
    let thinking = "";
    let content = "";
    for (let moved = true; moved; ) {
      const before = this.#state;
      const step = this.#step();
      thinking += step.thinking ?? "";
      content += step.content ?? "";
      moved = this.#state !== before;
    }
    if (last && this.#held !== "") {
      if (this.#state === "thinking") thinking += this.#held;
      else if (this.#state === "opening") content += this.#held;
      this.#held = "";
    }
    return thinking === "" && content === "" ? nothing : { thinking, content, calls: [] };
  }

  #take(): string {
    const text = this.#held;
    this.#held = "";
    return text;
  }

  #step(): { thinking?: string; content?: string } {
    const { open, close } = this.#tags;
    switch (this.#state) {
      case "opening": {
        const text = this.#held.trimStart();
        if (text.startsWith(open)) {
          this.#held = text.slice(open.length);
          this.#state = "thinking-start";
        } else if (!open.startsWith(text)) this.#state = "content";
        return {};
      }
      case "thinking-start":
      case "content-start":
        this.#held = this.#held.trimStart();
        if (this.#held !== "") {
          this.#state = this.#state === "content-start" ? "content" : "thinking";
        }
        return {};
      case "thinking": {
        const at = this.#held.indexOf(close);
        if (at < 0) {
          const text = this.#take();
          const certain = text.length - partialMark(text, [close]);
          this.#held = text.slice(certain);
          return { thinking: text.slice(0, certain) };
        }
        const thinking = this.#held.slice(0, at);
        this.#held = this.#held.slice(at + close.length);
        this.#state = "content-start";
        return { thinking };
      }
      default:
        return { content: this.#take() };
    }
  }
}

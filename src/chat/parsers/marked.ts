/**
 * The state machine most output formats share: an optional thinking part up to a closing mark, then
 * content with sections between an opening and a closing mark. A format is a table of marks (`Layout`);
 * what is read does not depend on how the text is cut into pieces.
 */
import {
  firstMark,
  nothing,
  type Output,
  OutputParseError,
  type OutputParser,
  type ParsedCall,
  partialMark,
} from "../output.ts";

/** What a section between two marks gives. */
export interface SectionResult {
  readonly calls?: readonly ParsedCall[];
  readonly content?: string;
  /** The section was no section but text, marks and the white space around it included. */
  readonly isText?: boolean;
}

export interface Section {
  readonly open: string;
  /** A mark; or, for sections without one, where the body that `held` begins with ends, once it does. */
  readonly close: string | ((held: string) => number | undefined);
  /** Reads what stands between the marks. Throws `OutputParseError`. */
  read(body: string): SectionResult;
  /** Reads a section that the end of the output leaves open; without this it is dropped. */
  readOpen?(body: string): SectionResult;
}

export interface Layout {
  readonly sections: readonly Section[];
  /** Undefined for formats without thinking. */
  readonly thinking?: {
    /** Mark that opens thinking; where the output begins inside it, an echo of it is dropped once. */
    readonly open?: string;
    readonly close: string;
    /** Opening marks of sections that end thinking as well. */
    readonly endedBy: readonly string[];
    /**
     * Where thinking may begin: `inside` the output from its first letter; `leading` only with the
     * opening mark in front; `anywhere` with the opening mark.
     */
    readonly starts: "inside" | "leading" | "anywhere";
    /** White space in front of thinking, or at its end, is kept. */
    readonly keepsLeadingSpace?: boolean;
    readonly keepsTrailingSpace?: boolean;
    /** White space in front of content is dropped when the output does not open with thinking. */
    readonly trimsContent?: boolean;
    /** The opening mark counts more than once. */
    readonly repeats?: boolean;
    /** What is held back is thinking when nothing follows. */
    readonly keepsEnd?: boolean;
    /** Removed from the beginning of thinking. */
    readonly label?: string;
    /** Thinking is read but not given out. */
    readonly dropped?: boolean;
  };
  /**
   * White space and possible beginnings of marks are held back at the end of content so far. When
   * nothing follows they `vanish` or `stay`, or only the one or the other does. With `space vanishes`
   * this is so for thinking too.
   */
  readonly contentEnd: "vanish" | "stay" | "marks vanish" | "space vanishes";
  /** Marks that are dropped, with white space around them, where they follow a section at once. */
  readonly ignored?: readonly string[];
  /** Marks that are dropped wherever they stand in content. */
  readonly stray?: readonly string[];
  /** White space in front of everything is dropped. */
  readonly trimsStart?: boolean;
  /** White space in front of a section is content. */
  readonly keepsSpaceBeforeSection?: boolean;
  /** White space after a section is content. */
  readonly keepsSpaceAfterSection?: boolean;
  /** What a step gave before an error is not lost with it. */
  readonly keepsBeforeError?: "all" | "thinking";
}

type State = "start" | "thinking" | "content" | "section";

interface Draft {
  content: string;
  thinking: string;
  calls: ParsedCall[];
}

export class MarkedParser implements OutputParser {
  readonly #layout: Layout;
  #state: State;
  #section: Section | undefined;
  #held = "";
  /** White space is dropped until something else comes. */
  #skipSpace = false;
  #thought = false;
  /** Nothing but white space and ignored marks came since the last section. */
  #afterSection = false;
  /** White space that was dropped in front of the section. */
  #spaceBefore = "";
  #labelDone = false;
  #echo: boolean;

  constructor(layout: Layout) {
    this.#layout = layout;
    const starts = layout.thinking?.starts;
    this.#state = starts === "inside" ? "thinking" : starts === "leading" ? "start" : "content";
    this.#skipSpace = layout.trimsStart === true;
    this.#echo = starts === "inside" && layout.thinking?.open !== undefined;
  }

  add(text: string, last: boolean): Output {
    this.#held += text;
    const draft: Draft = { content: "", thinking: "", calls: [] };
    try {
      for (let moved = true; moved; ) {
        if (this.#skipSpace) {
          this.#held = this.#held.trimStart();
          if (this.#held !== "") this.#skipSpace = false;
        }
        moved = this.#step(draft, last);
      }
    } catch (error) {
      const keeps = this.#layout.keepsBeforeError;
      if (error instanceof OutputParseError && keeps !== undefined) {
        error.before = keeps === "all" ? draft : { ...nothing, thinking: draft.thinking };
      }
      throw error;
    }
    return draft;
  }

  #step(draft: Draft, last: boolean): boolean {
    switch (this.#state) {
      case "start":
        return this.#start(last);
      case "thinking":
        return this.#think(draft, last);
      case "content":
        return this.#read(draft, last);
      case "section":
        return this.#finish(draft, last);
    }
  }

  /** Looks whether the output opens with thinking. */
  #start(last: boolean): boolean {
    const open = this.#layout.thinking?.open ?? "";
    const text = this.#held.trimStart();
    if (text.startsWith(open)) {
      this.#held = text.slice(open.length);
      this.#enterThinking();
      return true;
    }
    if (open.startsWith(text) && !last) return false;
    this.#state = "content";
    if (this.#layout.thinking?.trimsContent) this.#held = text;
    return true;
  }

  #enterThinking(): void {
    this.#state = "thinking";
    this.#thought = true;
    this.#labelDone = false;
    this.#skipSpace = this.#layout.thinking?.keepsLeadingSpace !== true;
  }

  #think(draft: Draft, last: boolean): boolean {
    const { thinking } = this.#layout;
    if (thinking === undefined) throw new TypeError("no thinking in this layout");
    if (this.#echo && !this.#dropEcho(thinking.open ?? "", last)) return false;
    const label = thinking.label ?? "";
    if (label !== "" && !this.#dropLabel(label, last)) return false;
    const marks = [thinking.close, ...thinking.endedBy];
    const found = firstMark(this.#held, marks);
    if (found !== undefined) {
      const text = this.#held.slice(0, found.at);
      const closed = found.mark === thinking.close;
      this.#giveThinking(draft, thinking.keepsTrailingSpace ? text : text.trimEnd());
      this.#held = this.#held.slice(found.at + (closed ? found.mark.length : 0));
      this.#state = "content";
      this.#skipSpace = true;
      return true;
    }
    const keepsEnd = last && thinking.keepsEnd === true;
    const all = keepsEnd || (last && this.#layout.contentEnd === "space vanishes");
    const holdsSpace = thinking.keepsTrailingSpace !== true && !keepsEnd;
    const certain = this.#certain(all ? [] : marks, holdsSpace);
    this.#giveThinking(draft, this.#held.slice(0, certain));
    this.#held = this.#held.slice(certain);
    return false;
  }

  #dropLabel(label: string, last: boolean): boolean {
    if (this.#labelDone) return true;
    if (!last && this.#held.length < label.length && label.startsWith(this.#held)) return false;
    if (this.#held.startsWith(label)) this.#held = this.#held.slice(label.length);
    this.#labelDone = true;
    return true;
  }

  /** False while the text may still become the echoed mark. */
  #dropEcho(open: string, last: boolean): boolean {
    const text = this.#held.trimStart();
    if (text.startsWith(open)) {
      this.#held = text.slice(open.length).trimStart();
      this.#skipSpace = this.#held === "";
    } else if (open.startsWith(text)) {
      if (!last) return false;
      if (this.#layout.contentEnd === "vanish") this.#held = "";
    }
    this.#echo = false;
    return true;
  }

  #giveThinking(draft: Draft, text: string): void {
    if (this.#layout.thinking?.dropped !== true) draft.thinking += text;
  }

  /** Length of the text in which none of `marks` can begin any more. */
  #certain(marks: readonly string[], holdsSpace: boolean): number {
    const text = this.#held.slice(0, this.#held.length - partialMark(this.#held, marks));
    return holdsSpace ? text.trimEnd().length : text.length;
  }

  #read(draft: Draft, last: boolean): boolean {
    const { sections, thinking, stray = [] } = this.#layout;
    if (this.#afterSection && !this.#dropIgnored(last)) return false;
    const opens = sections.map(({ open }) => open);
    const mayThink = thinking?.repeats || (thinking?.starts === "anywhere" && !this.#thought);
    const marks = [...opens, ...stray, ...(mayThink && thinking?.open ? [thinking.open] : [])];
    const found = firstMark(this.#held, marks);
    if (found === undefined) {
      const { contentEnd, keepsSpaceBeforeSection = false } = this.#layout;
      const holds = contentEnd.endsWith("vanish") && contentEnd !== "marks vanish";
      const holdsNow =
        holds || contentEnd === "space vanishes" || !(last || keepsSpaceBeforeSection);
      const all = last && (contentEnd === "stay" || contentEnd === "space vanishes");
      const certain = this.#certain(all ? [] : marks, all ? contentEnd !== "stay" : holdsNow);
      draft.content += this.#held.slice(0, certain);
      this.#held = last ? "" : this.#held.slice(certain);
      return false;
    }
    const text = this.#held.slice(0, found.at);
    const shown = this.#layout.keepsSpaceBeforeSection ? text : text.trimEnd();
    draft.content += shown;
    this.#spaceBefore = text.slice(shown.length);
    this.#held = this.#held.slice(found.at + found.mark.length);
    if (stray.includes(found.mark)) {
      this.#skipSpace = true;
      return true;
    }
    this.#section = sections.find(({ open }) => open === found.mark);
    if (this.#section === undefined) this.#enterThinking();
    else this.#state = "section";
    return true;
  }

  /** False while the text may still become an ignored mark. */
  #dropIgnored(last: boolean): boolean {
    const { ignored = [] } = this.#layout;
    for (;;) {
      this.#held = this.#held.trimStart();
      const mark = ignored.find((one) => this.#held.startsWith(one));
      if (mark === undefined) break;
      this.#held = this.#held.slice(mark.length);
    }
    const partial = ignored.some((one) => one.startsWith(this.#held));
    if (partial && !last) return false;
    if (partial) this.#held = "";
    this.#afterSection = false;
    return true;
  }

  #finish(draft: Draft, last: boolean): boolean {
    const section = this.#section;
    if (section === undefined) throw new TypeError("no section is open");
    const { close } = section;
    const fixed = typeof close === "string";
    const at = fixed ? this.#held.indexOf(close) : (close(this.#held) ?? -1);
    if (at < 0) {
      if (!last) return false;
      const body = this.#held;
      this.#held = "";
      this.#give(draft, section.readOpen?.(body) ?? {});
      return false;
    }
    const body = this.#held.slice(0, at);
    this.#held = this.#held.slice(at + (fixed ? close.length : 0));
    this.#state = "content";
    this.#afterSection = this.#layout.ignored !== undefined;
    this.#skipSpace = this.#layout.keepsSpaceAfterSection !== true;
    this.#give(draft, section.read(body));
    return true;
  }

  #give(draft: Draft, { calls = [], content = "", isText = false }: SectionResult): void {
    if (isText) {
      draft.content += this.#spaceBefore;
      this.#skipSpace = false;
    }
    draft.calls.push(...calls);
    draft.content += content;
  }
}

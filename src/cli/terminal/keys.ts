/** What is typed, as keys and pastes. Escape sequences are decoded by node:readline. */
import { emitKeypressEvents } from "node:readline";

export type Key =
  /** A printable character, as many code points as the terminal sent for it. */
  | { readonly kind: "text"; readonly text: string }
  /** A key by its name (`left`, `return`, `a`), with its modifiers. */
  | {
      readonly kind: "key";
      readonly name: string;
      readonly ctrl: boolean;
      readonly meta: boolean;
    }
  /** A text that was pasted: line ends in it are no Enter. */
  | { readonly kind: "paste"; readonly text: string };

interface Pressed {
  readonly sequence?: string;
  readonly name?: string;
  readonly ctrl?: boolean;
  readonly meta?: boolean;
}

/** Line ends as \n; other control characters do not get into a text. */
function clean(text: string): string {
  return (
    text
      .replace(/\r\n?/g, "\n")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
      .replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "")
  );
}

/**
 * Calls `receive` for each key, in order.
 * @param input a terminal in raw mode
 * @returns ends it
 */
export function readKeys(input: NodeJS.ReadStream, receive: (key: Key) => void): () => void {
  let pasted: string[] | undefined;
  const pressed = (text: string | undefined, key: Pressed) => {
    if (key.name === "paste-start") pasted = [];
    else if (key.name === "paste-end") {
      receive({ kind: "paste", text: clean((pasted ?? []).join("")) });
      pasted = undefined;
    } else if (pasted !== undefined) pasted.push(key.sequence ?? text ?? "");
    else {
      const { name = "", ctrl = false, meta = false } = key;
      const printable = text !== undefined && !ctrl && !meta && clean(text) !== "" && text >= " ";
      if (printable) receive({ kind: "text", text });
      else if (name !== "" && name !== "undefined") receive({ kind: "key", name, ctrl, meta });
    }
  };
  emitKeypressEvents(input);
  input.on("keypress", pressed);
  return () => {
    input.off("keypress", pressed);
  };
}

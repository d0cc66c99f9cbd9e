/** Go's escaping functions `html`, `js` and `urlquery`. */
import { toBytes, wellFormed } from "./bytes.ts";

const htmlEscapes: Readonly<Record<string, string>> = {
  "\0": "\ufffd",
  '"': "&#34;",
  "'": "&#39;",
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
};

export function escapeHtml(text: string): string {
  return text.replace(/[\0"'&<>]/g, (character) => htmlEscapes[character] ?? character);
}

const jsEscapes: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "'": "\\'",
  '"': '\\"',
};

export function escapeJs(source: string): string {
  let out = "";
  for (const character of wellFormed(source)) {
    const code = character.codePointAt(0) ?? 0;
    const hidden = code > 0x7f && !/^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character);
    if (jsEscapes[character] !== undefined) out += jsEscapes[character];
    else if (code < 0x20 || hidden || "<>&=".includes(character)) {
      out += `\\u${code.toString(16).toUpperCase().padStart(4, "0")}`;
    } else out += character;
  }
  return out;
}

export function escapeQuery(text: string): string {
  let out = "";
  for (const byte of toBytes(text)) {
    const character = String.fromCharCode(byte);
    if (/[\w.~-]/.test(character)) out += character;
    else if (byte === 0x20) out += "+";
    else out += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

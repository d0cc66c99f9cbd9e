/** Calls whose arguments are one JSON object, whatever stands around them. */
import type { Tool } from "../../chat/messages.ts";
import { harmonyNames } from "../../chat/parsers/harmony.ts";
import { argumentSchema, type FormRules, type GrammarSetting, mark, quoted } from "./rules.ts";
import type { JsonForm, NamedForm } from "./syntax.ts";

/** What may be a tool's name between marks. */
const plainName = /^[^\s<>[\]{}]+$/;

export function jsonRules(form: JsonForm, setting: GrammarSetting): FormRules {
  const colon = 'w ":" w';
  const id = form.idKey === undefined ? "" : `${quoted(`"${form.idKey}"`)} ${colon} ID w "," w `;
  const name = `${id}${quoted(`"${form.nameKey}"`)} ${colon} "\\"" `;
  const opening = form.opening === "object" ? `"{" w ${name}` : "";
  const items = 'w call (w "," w call)* w "]"';
  const list = `w "[" ${items}`;
  const single = `${form.opening === "object" ? "w " : ""}call`;
  return {
    fits: () => true,
    body: { yes: list, opened: items, no: single, maybe: `(${single} | ${list})` }[form.list],
    call(tool, i) {
      const own = quoted(JSON.stringify(tool.function.name).slice(1));
      const key = quoted(`"${form.argumentsKey}"`);
      return [
        `c${i}: ${opening}${own} w "," w ${key} ${colon} a${i} w "}"`,
        `a${i}: %json ${argumentSchema(tool, setting)}`,
      ];
    },
    shared: () => (form.idKey === undefined ? [] : ['ID: /"[0-9A-Za-z_-]{1,40}"|[0-9]{1,9}/']),
  };
}

export function namedRules(form: NamedForm, setting: GrammarSetting): FormRules {
  const marks = (texts: readonly string[]) => texts.map((text) => mark(text, setting));
  const { listEnd } = form;
  return {
    fits: (tool) => plainName.test(tool.function.name),
    body: listEnd === undefined ? "call" : `w call (w call)* w ${mark(listEnd, setting)}`,
    call(tool, i) {
      const [open, separator, close] = [form.open, form.separator, form.close].map(marks);
      const name = quoted(tool.function.name);
      const parts = [...(open ?? []), name, ...(separator ?? []), "w", `a${i}`, ...(close ?? [])];
      return [`c${i}: ${parts.join(" ")}`, `a${i}: %json ${argumentSchema(tool, setting)}`];
    },
  };
}

/** Behind `to=functions.`; the channel may stand before it or behind it. */
export function harmonyRules(tools: readonly Tool[], setting: GrammarSetting): FormRules {
  const shown = harmonyNames(tools);
  const taken = new Set(shown.values());
  const part = (text: string) => mark(text, setting);
  return {
    fits: () => true,
    body: "call",
    call(tool, i) {
      const { name } = tool.function;
      // Jinja templates show names as they are.
      const own = plainName.test(name) && !taken.has(name) ? [name] : [];
      const names = [...own, shown.get(name) ?? name].map(quoted);
      return [
        `c${i}: (${names.join(" | ")}) header w a${i}`,
        `a${i}: %json ${argumentSchema(tool, setting)}`,
      ];
    },
    shared: () => [
      `header: (w ${part("<|channel|>")} ("commentary" | "analysis"))? w content? ${part("<|message|>")}`,
      `content: ${part("<|constrain|>")}? ("json" | "code") w`,
    ],
  };
}

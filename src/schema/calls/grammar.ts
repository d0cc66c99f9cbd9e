/**
 * Strict tools: where a model's calls have a form that a grammar expresses, what follows the opening tag
 * is generated under the tools' own schemas. Text outside of calls stays free.
 */
import type { Tool } from "../../chat/messages.ts";
import { bracesRules } from "./brace-rules.ts";
import { harmonyRules, jsonRules, namedRules } from "./json-rules.ts";
import { pythonRules } from "./python-rules.ts";
import type { FormRules, GrammarSetting } from "./rules.ts";
import type { CallForm, CallSyntax } from "./syntax.ts";
import { invokeRules, pairsRules, xmlRules } from "./tag-rules.ts";

function rulesOf(form: CallForm, tools: readonly Tool[], setting: GrammarSetting): FormRules {
  switch (form.kind) {
    case "json":
      return jsonRules(form, setting);
    case "named":
      return namedRules(form, setting);
    case "braces":
      return bracesRules(form, setting);
    case "harmony":
      return harmonyRules(tools, setting);
    case "xml":
      return xmlRules(setting);
    case "pairs":
      return pairsRules(form.loose, setting);
    case "invoke":
      return invokeRules(tools, setting);
    case "python":
      return pythonRules(form.lines, setting);
  }
}

/**
 * A grammar of everything between the tag and the call's last bracket. Where free text follows, of
 * anything behind it too: the token with the bracket may go on, and who uses the grammar ends it as soon
 * as the text is whole.
 * @returns undefined where a tool cannot be written in this form; not leniently, where it cannot exactly
 */
export function callGrammar(
  { form, next }: CallSyntax,
  tools: readonly Tool[],
  setting: GrammarSetting,
): string | undefined {
  const named = tools.filter((tool) => tool.function.name !== "");
  const rules = rulesOf(form, named, setting);
  if (!named.every(rules.fits)) return undefined;
  const lines = [
    // The model goes on in its own tokens, as long as they fit: none is forced on it.
    '%llguidance {"no_forcing": true}',
    `start: ${rules.body}${next === undefined ? " REST?" : ""}`,
    `call: ${named.map((_, i) => `c${i}`).join(" | ")}`,
    ...named.flatMap((tool, i) => rules.call(tool, i)),
    ...(rules.shared?.(named) ?? []),
    "w: BLANKS?",
    ...(next === undefined ? ["REST: /(?s:.)+/"] : []),
    "BLANKS: /[ \\t\\r\\n]{1,24}/",
    "",
  ];
  return lines.join("\n");
}

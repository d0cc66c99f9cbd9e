/** Calls of Gemma's kinds: `call:name{key:value,…}`. */
import type { Tool } from "../../chat/messages.ts";
import { BraceValues, sharedValues } from "./brace-values.ts";
import { type FormRules, type GrammarSetting, mark, quoted } from "./rules.ts";
import type { BracesForm } from "./syntax.ts";

const plainName = /^[^\s<>{}]+$/;

export function bracesRules(form: BracesForm, setting: GrammarSetting): FormRules {
  const written = ({ function: { name, parameters = {} } }: Tool, i: number) => {
    const values = new BraceValues(form, setting, `b${i}_`, parameters.$defs);
    const object = values.of({ type: "object", ...parameters });
    const call = `c${i}: ${quoted(`call:${name}`)} ${object} ${mark(form.close, setting)}`;
    return { exact: values.exact, rules: [call, ...values.rules] };
  };
  return {
    body: "call",
    fits: (tool) =>
      plainName.test(tool.function.name) && (setting.lenient || written(tool, 0).exact),
    call: (tool, i) => written(tool, i).rules,
    shared: () => sharedValues(form, setting),
  };
}

/** Calls as Python writes them: `name(key="text", n=1)`. */
import { type FormRules, flags, type GrammarSetting, quoted, valueSchema } from "./rules.ts";
import { argumentsOf } from "./values.ts";

/** @param lines a call each line, up to a closing tag; otherwise a list in brackets */
export function pythonRules(lines: boolean, setting: GrammarSetting): FormRules {
  const [name, key] = [/^[\p{L}_][\p{L}\p{N}_.-]*$/u, /^[\p{L}_][\p{L}\p{N}_]*$/u];
  return {
    fits: (tool) =>
      name.test(tool.function.name) && argumentsOf(tool).every((one) => key.test(one.key)),
    body: lines
      ? 'w call ("\\n" call)* w "</function_calls>"'
      : 'w "[" w call (w "," w call)* w "]"',
    call(tool, i) {
      const list = argumentsOf(tool);
      // f: nothing stands in front yet, so no comma; s: something does.
      const rules = list.flatMap((one, j) => {
        const value = one.kind === "flag" ? flags : `%json ${valueSchema(tool, one, setting)}`;
        const or = (rest: string) => (one.required ? "" : ` | ${rest}`);
        const next = `s${i}_${j + 1}`;
        return [
          `f${i}_${j}: ${quoted(`${one.key}=`)} v${i}_${j} ${next}${or(`f${i}_${j + 1}`)}`,
          `s${i}_${j}: w "," w ${quoted(`${one.key}=`)} v${i}_${j} ${next}${or(next)}`,
          `v${i}_${j}: ${value}`,
        ];
      });
      const ends = [`f${i}_${list.length}: ""`, `s${i}_${list.length}: ""`];
      return [`c${i}: ${quoted(`${tool.function.name}(`)} f${i}_0 w ")"`, ...rules, ...ends];
    },
  };
}

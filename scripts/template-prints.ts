/**
 * Makes src/model/known-prints.json: `bun scripts/template-prints.ts INDEX.json`, a JSON list of
 * `{"name", "template"}` with the Jinja texts of the families in src/model/known-templates.ts.
 */
import { resolve } from "node:path";
import { knownNames, printOf } from "../src/model/known-templates.ts";

const [index] = process.argv.slice(2);
if (index === undefined) {
  console.error("usage: bun scripts/template-prints.ts INDEX.json");
  process.exit(2);
}
const texts: { name: string; template: string }[] = await Bun.file(index).json();
const prints = texts.map(({ name, template }) => {
  if (!knownNames.includes(name)) throw new Error(`no family "${name}" in known-templates.ts`);
  return { name, print: printOf(template) };
});
const target = resolve(import.meta.dir, "../src/model/known-prints.json");
await Bun.write(target, `${JSON.stringify(prints, null, 2)}\n`);
console.log(`${prints.length} prints in ${target}`);

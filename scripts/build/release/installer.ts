/** install.sh as a release hands it out: with what only the release knows. Pure. */
import { BuildError } from "../failure.ts";

/**
 * Puts values into lines `name=''` of the script.
 * @throws BuildError when the script has no such line, or a value would end its quotes
 */
export function installerText(script: string, values: Readonly<Record<string, string>>): string {
  let text = script;
  for (const [name, value] of Object.entries(values)) {
    const line = new RegExp(`^${name}=''$`, "m");
    if (!line.test(text)) throw new BuildError(`install.sh has no line ${name}=''`);
    if (/[^\w+/=.]/.test(value)) throw new BuildError(`install.sh: ${name} cannot be "${value}"`);
    text = text.replace(line, `${name}='${value}'`);
  }
  return text;
}

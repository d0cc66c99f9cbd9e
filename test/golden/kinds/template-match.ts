/** Which known template a GGUF's Jinja text is matched to. */
import { knownTemplate } from "../../../src/model/known-templates.ts";
import { type KindRunner, sharedPath } from "./context.ts";

interface Vector {
  index?: number;
  text?: string;
  drop_start?: number;
  drop_end?: number;
  replace?: [string, string];
  append?: string;
  prepend?: string;
  times?: number;
  name?: string;
  stop?: string[];
}

/** The text after the changes that the vector names, in their order; lengths are code points. */
function changed(vector: Vector, original: string): string {
  const points = [...original];
  const end = points.length - (vector.drop_end ?? 0);
  const kept = points.slice(vector.drop_start ?? 0, Math.max(0, end)).join("");
  const replaced =
    vector.replace === undefined ? kept : kept.replaceAll(vector.replace[0], vector.replace[1]);
  const { times = 1, prepend = "", append = "" } = vector;
  return prepend.repeat(times) + replaced + append.repeat(times);
}

export const templateMatch: KindRunner = async (data, { dir, check }) => {
  const list = sharedPath(dir, "data/templates/ollama-go/template/index.json");
  const index: { template: string }[] = await Bun.file(list).json();
  for (const [i, vector] of (data.vectors as Vector[]).entries()) {
    const text = vector.text ?? index[vector.index ?? -1]?.template ?? "";
    const found = knownTemplate(changed(vector, text));
    const { index: of, text: _, name, stop, ...change } = vector;
    const actual = found === undefined ? undefined : { name: found.name, stop: [...found.stop] };
    const expected = name === undefined ? undefined : { name, stop };
    check(`${i}: ${of} ${JSON.stringify(change)}`, actual, expected);
  }
};

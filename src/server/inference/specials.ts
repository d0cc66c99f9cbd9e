/** Which texts are special to a loaded model, and which of them its own prompts give their meaning. */
import { wordsWithMeaning, writtenBy } from "../../chat/marks.ts";
import { parserNamed } from "../../chat/parsers/table.ts";
import { rendererNamed } from "../../chat/renderers/table.ts";
import type { LoadedModel } from "../../engine/engine.ts";
import { SpecialTexts } from "../../engine/special-texts.ts";
import type { TemplateChoice } from "../../model/capabilities.ts";

/** Texts that are no plain text to a model. */
export interface Specials {
  readonly texts: SpecialTexts;
  /** Those of them that were added to the vocabulary as words (chat/marks.ts). */
  readonly words: ReadonlySet<string>;
}

/** Where the meaning of words comes from. */
export interface MeaningSource {
  readonly choice: TemplateChoice;
  /** The template that writes prompts, Go or Jinja; empty for a built-in renderer. */
  readonly template: string;
  readonly renderer: string;
  readonly parser: string;
  /** Tags of the template's thinking. */
  readonly tags: readonly string[];
}

interface Known {
  /** Control tokens, marks of turns. */
  readonly always: readonly string[];
  readonly added: readonly string[];
  /** By source: models of one file may differ in their templates. */
  readonly found: Map<string, Specials>;
}

/** Made once per load. */
const knownOf = new WeakMap<LoadedModel, Known>();

function known(model: LoadedModel): Known {
  const before = knownOf.get(model);
  if (before !== undefined) return before;
  const { specialTokens } = model.info;
  const texts = (added: boolean) =>
    specialTokens.filter((token) => (token.added ?? false) === added).map(({ text }) => text);
  const made = { always: texts(false), added: texts(true), found: new Map() };
  knownOf.set(model, made);
  return made;
}

function meaningTexts({ choice, template, renderer, parser, tags }: MeaningSource): string[] {
  const render = choice === "renderer" ? rendererNamed(renderer) : undefined;
  const preserved = parserNamed(parser)?.preserved ?? [];
  return [template, render === undefined ? "" : writtenBy(render), ...preserved, ...tags];
}

export function specialsOf(model: LoadedModel, source: MeaningSource): Specials {
  const { always, added, found } = known(model);
  const { choice, template, renderer, parser } = source;
  const key = added.length === 0 ? "" : [choice, renderer, parser, template].join("\0");
  const before = found.get(key);
  if (before !== undefined) return before;
  const words =
    added.length === 0 ? new Set<string>() : wordsWithMeaning(added, meaningTexts(source));
  const made = { texts: new SpecialTexts([...always, ...words]), words };
  found.set(key, made);
  return made;
}

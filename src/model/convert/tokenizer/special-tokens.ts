/** Ids of the tokens that begin, end, pad and separate texts, and the chat template (create.md 5). */
import { isObject, type JsonObject, type SourceFiles } from "../source.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Name in `tokenizer_config.json` → in the GGUF (the spelling of `seperator` is the format's). */
const kinds = {
  bos: "bos",
  eos: "eos",
  unk: "unknown",
  sep: "seperator",
  pad: "padding",
  cls: "cls",
  mask: "mask",
} as const;

export interface Specials {
  /** GGUF name → id. */
  readonly ids: ReadonlyMap<string, number>;
  /** GGUF name → whether the token is added to every text. */
  readonly adds: ReadonlyMap<string, boolean>;
  /** GGUF name → all ids, where the generation configuration lists several. */
  readonly lists: ReadonlyMap<string, readonly number[]>;
  readonly chatTemplate: string | undefined;
}

function content(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return isObject(value) && typeof value.content === "string" ? value.content : undefined;
}

function templateOf(config: JsonObject, files: SourceFiles): string | undefined {
  const { chat_template: template } = config;
  if (typeof template === "string" && template !== "") return template;
  if (Array.isArray(template)) {
    const found = template.filter(isObject).find(({ name }) => name === "default")?.template;
    if (typeof found === "string") return found;
  }
  // Newer repositories keep it in a file of its own.
  return files.has("chat_template.jinja")
    ? files.bytes("chat_template.jinja").toString("utf8") || undefined
    : undefined;
}

export function specialTokens(files: SourceFiles, vocabulary: Vocabulary): Specials {
  const config = files.optional("tokenizer_config.json") ?? {};
  const generation = files.optional("generation_config.json") ?? {};
  const ids = new Map<string, number>();
  const adds = new Map<string, boolean>();
  const lists = new Map<string, readonly number[]>();
  for (const [kind, name] of Object.entries(kinds)) {
    const text = content(config[`${kind}_token`]);
    const id = text === undefined ? undefined : vocabulary.added.get(text);
    if (id === undefined) continue;
    ids.set(name, id);
    const add = config[`add_${kind}_token`];
    if (typeof add === "boolean") adds.set(name, add);
    const several = generation[`${kind}_token_id`];
    if (Array.isArray(several) && several.every(Number.isInteger)) lists.set(name, several);
  }
  return { ids, adds, lists, chatTemplate: templateOf(config, files) };
}

/**
 * What the fake model answers: words by a random number generator that the prompt seeds, so that the
 * same question always gets the same answer; calls of tools that were asked for; thinking where the
 * prompt opens it. Pure. It reads prompts as its own template (models.ts) writes them.
 */
import { instanceOf } from "../../engine/fake-constraint.ts";

export interface ReplyOptions {
  /** Another one gives other words. */
  readonly seed: number;
  /** Words of an answer, >= 1. */
  readonly words: number;
}

interface Turn {
  readonly role: string;
  readonly content: string;
}

interface FakeTool {
  readonly name: string;
  readonly parameters: unknown;
  /** What the message must have one of for the tool to be asked for. */
  readonly words: ReadonlySet<string>;
}

const vocabulary =
  `a all and answer any are at before behind between blue both bright but by calm clear
  cold day deep each early every far few field for from garden gentle glass gold green half hill hour in
  is lake large late leaf light like little long many moon morning most near never new night no north
  not of old on one open or other over paper quiet rain red river road round sea short silver slow small
  soft some stone such sun that the then there this three tree two under warm water white wide wind with
  word yellow`.split(/\s+/);

/** Words that say nothing about what is wanted. */
const empty = new Set(
  `about from give given have into more please return returns should tell than that them then they this
  what when where which will with would your`.split(/\s+/),
);

/** Turns of a prompt; a prompt without any is the user's own. The last one is still open. */
function turnsOf(prompt: string): Turn[] {
  const found = prompt.split("<|im_start|>").slice(1);
  if (found.length === 0) return [{ role: "user", content: prompt }];
  return found.map((text) => {
    const end = text.indexOf("\n");
    return {
      role: text.slice(0, end),
      content: text.slice(end + 1).replace(/<\|im_end\|>\s*$/, ""),
    };
  });
}

/** Words of at least four letters, without the s of a plural. */
function wordsIn(text: string): string[] {
  return text
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word.length >= 4 && !empty.has(word))
    .map((word) => word.replace(/s$/, ""));
}

function toolOf(line: string): FakeTool[] {
  let json: { function?: { name?: unknown; description?: unknown; parameters?: unknown } };
  try {
    json = JSON.parse(line);
  } catch {
    return [];
  }
  const { name, description, parameters } = json.function ?? {};
  if (typeof name !== "string" || name === "") return [];
  const { properties } = (parameters ?? {}) as { properties?: object };
  const about = [name, String(description ?? ""), ...Object.keys(properties ?? {})].join(" ");
  return [{ name, parameters, words: new Set(wordsIn(about)) }];
}

/** Tools that a message names; else the one that it shares most words with; else none. */
function askedFor(tools: readonly FakeTool[], message: string): readonly FakeTool[] {
  const named = tools.filter(({ name }) => message.includes(name));
  if (named.length > 0) return named;
  const said = wordsIn(message);
  const shared = ({ words }: FakeTool) => said.filter((word) => words.has(word)).length;
  const best = Math.max(0, ...tools.map(shared));
  return best === 0 ? [] : tools.filter((tool) => shared(tool) === best).slice(0, 1);
}

function callText({ name, parameters }: FakeTool): string {
  const schema =
    typeof parameters === "object" && parameters !== null
      ? { ...parameters, type: "object" }
      : { type: "object" };
  const call = { name, arguments: instanceOf(schema) ?? {} };
  return `<tool_call>\n${JSON.stringify(call)}\n</tool_call>`;
}

/** Numbers in [0, 1): mulberry32. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Sentences of so many words in all. */
function sentences(count: number, random: () => number): string {
  const text: string[] = [];
  for (let left = count; left > 0; ) {
    const length = Math.min(left, 4 + Math.floor(random() * 8));
    const words = Array.from(
      { length },
      () => vocabulary[Math.floor(random() * vocabulary.length)] ?? "",
    );
    const sentence = words.join(" ");
    text.push(`${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`);
    left -= length;
  }
  return text.join(" ");
}

/**
 * The model's answer to a prompt.
 * @param schemas of the tools' arguments in full: a prompt shows what Ollama's templates show of them
 */
export function fakeReply(
  prompt: string,
  { seed, words }: ReplyOptions,
  schemas: readonly unknown[] = [],
): string {
  const turns = turnsOf(prompt);
  const tools = turns
    .filter(({ role }) => role === "tools")
    .flatMap(({ content }) => content.split("\n").flatMap(toolOf))
    .map((tool, i) => ({ ...tool, parameters: schemas[i] ?? tool.parameters }));
  const last = turns.findLast(({ role }) => role === "user" || role === "tool");
  const said = last?.content ?? "";
  const thinking = prompt.trimEnd().endsWith("<think>");
  const thought = thinking ? `I am asked for ${wordsIn(said).length} things.\n</think>\n\n` : "";
  const calls = last?.role === "user" ? askedFor(tools, said) : [];
  if (calls.length > 0) return thought + calls.map(callText).join("\n");
  const random = randomNumbers(Number(BigInt.asUintN(32, BigInt(Bun.hash(prompt)))) ^ seed);
  return thought + sentences(words, random);
}

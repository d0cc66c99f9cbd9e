/**
 * Parsers of output: what they give in total at every chunking. A vector counts as passed when all its
 * runs give a total that the reference gave; where its own result depends on chunks, any of its totals.
 */
import type { ChatMessage, Tool } from "../../../src/chat/messages.ts";
import { OutputParseError, type OutputParser } from "../../../src/chat/output.ts";
import { parserNamed } from "../../../src/chat/parsers/table.ts";
import { ThinkingSplitter } from "../../../src/chat/thinking.ts";
import { ToolSplitter } from "../../../src/chat/tools.ts";
import type { KindRunner } from "./context.ts";

interface Total {
  content?: string;
  thinking?: string;
  calls?: unknown[];
  error?: string;
}

export interface ParserVector {
  id: string;
  text: string;
  think?: boolean | string;
  tools?: string[];
  last?: ChatMessage;
  tag?: string;
  open?: string;
  close?: string;
  prompt_open?: boolean;
  total: Total;
  chunk_dependent?: boolean;
  runs: Record<string, { sizes?: number[]; total?: Total }>;
}

function wish(think: boolean | string | undefined) {
  if (think === undefined) return undefined;
  return { on: think !== false, level: typeof think === "string" ? think : think ? "medium" : "" };
}

function chunks(text: string, run: string, sizes: readonly number[] | undefined): string[] {
  const points = [...text];
  if (run === "char") return points;
  if (sizes === undefined) return [text];
  let at = 0;
  return sizes.map((size) => {
    const chunk = points.slice(at, at + size).join("");
    at += size;
    return chunk;
  });
}

/** Error texts count up to where they tell how Go failed. */
function comparable(error: string): string {
  if (/^(EOF|XML syntax error|expected element type)/.test(error)) return "markup";
  if (/^(invalid character|unexpected end of JSON|Value looks like|json: )/.test(error)) {
    return "failed to parse JSON: ";
  }
  const known =
    /^(failed to parse JSON: |error parsing tool call: raw='[\s\S]*', err=|[a-zA-Z ]*failed[^:]*: |parse Glimmer call to \S+: )/.exec(
      error,
    );
  return known?.[1] ?? error;
}

export function totalOf(
  parser: OutputParser,
  pieces: readonly string[],
  wholeDone: boolean,
): Total {
  const total: Total = {};
  let content = "";
  let thinking = "";
  const calls: unknown[] = [];
  try {
    const steps: [string, boolean][] = wholeDone
      ? pieces.map((piece) => [piece, true])
      : [...pieces.map((piece): [string, boolean] => [piece, false]), ["", true]];
    for (const [piece, last] of steps) {
      const step = parser.add(piece, last);
      content += step.content;
      thinking += step.thinking;
      for (const call of step.calls) calls.push({ ...call, index: calls.length });
    }
  } catch (error) {
    if (error instanceof OutputParseError) {
      content += error.before.content;
      thinking += error.before.thinking;
      for (const call of error.before.calls) calls.push({ ...call, index: calls.length });
    }
    total.error = comparable(error instanceof Error ? error.message : String(error));
  }
  if (content !== "") total.content = content;
  if (thinking !== "") total.thinking = thinking;
  if (calls.length > 0) total.calls = calls;
  return total;
}

/**
 * Strings of arguments without what the reference damages: olmo3's non-ASCII letters, and escapes that
 * lfm2 leaves standing (README of the vectors).
 */
function clean(kind: string, value: unknown): unknown {
  if (!/^(olmo3|lfm2)/.test(kind)) return value;
  if (typeof value === "string") return undamaged(value);
  if (Array.isArray(value)) return value.map((item) => clean(kind, item));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [undamaged(key), clean(kind, item)]),
  );
}

function undamaged(text: string): string {
  return text
    .replace(/[^ -~\s]/g, "")
    .replace(/\\(.)/g, (_, escaped: string) => ({ n: "\n", t: "\t" })[escaped] ?? escaped);
}

/** A recorded total; ids of calls that a model wrote are not compared, ours replace them. */
function normal(total: Total): Total {
  const calls = total.calls?.map((call) => ({ ...(call as object), id: undefined }));
  return {
    ...total,
    ...(calls === undefined ? {} : { calls }),
    ...(total.error === undefined ? {} : { error: comparable(total.error) }),
  };
}

/** Totals that are right for this vector besides the recorded ones, by the README of the vectors. */
function better(kind: string, vector: ParserVector): Total[] {
  if (kind === "thinking") {
    const { content = "", thinking = "" } = vector.total;
    const held = [vector.open, vector.close].find((tag = "") =>
      Array.from(tag, (_, i) => tag.slice(0, i)).some(
        (part) => part !== "" && vector.text.endsWith(part),
      ),
    );
    if (thinking !== "" && content === "" && held !== undefined) {
      return [{ thinking: vector.text.slice(vector.text.indexOf(thinking)) }];
    }
    // Nothing but the beginning of a tag, or white space: shown as it is.
    return Object.keys(vector.total).length === 0 && vector.text !== ""
      ? [{ content: vector.text }]
      : [];
  }
  if (kind === "tools") {
    // The beginning of a tag that never came is shown.
    const shown = vector.total.content ?? "";
    const held = vector.text.slice(shown.length);
    const isBeginning =
      held !== "" && vector.tag?.startsWith(held) && vector.text.startsWith(shown);
    return isBeginning ? [{ ...vector.total, content: vector.text }] : [];
  }
  if (/^(laguna|poolside)/.test(kind)) {
    return Object.values(vector.runs).map(({ total }) => tidy(total ?? vector.total));
  }
  return [];
}

/**
 * The reference takes the beginning of a closing mark for a part of the name, and drops a stray
 * `</think>` at some chunkings only; here it is dropped always.
 */
function tidy(total: Total): Total {
  const calls = total.calls?.map((call) => {
    const { name, ...rest } = call as { name: string };
    return { ...rest, name: name.replace(/\s*<[/a-z_]*$/, ""), id: undefined };
  });
  const content = total.content?.replace(/\s*<\/think>\s*/g, "");
  return {
    ...total,
    ...(content === undefined ? {} : { content }),
    ...(calls === undefined ? {} : { calls }),
  };
}

/** The reference loses name and arguments when a text among them has a line break. */
function lostByLineBreak(kind: string, vector: ParserVector, actual: Total): boolean {
  const [call] = (vector.total.calls ?? []) as { name: string }[];
  if (kind !== "functiongemma" || call?.name !== "" || !vector.text.includes("\n")) return false;
  const [ours] = (actual.calls ?? []) as { name: string }[];
  return ours !== undefined && vector.text.includes(`call:${ours.name}{`);
}

export function parserFor(
  kind: string,
  vector: ParserVector,
  definitions: Record<string, Tool>,
): OutputParser | undefined {
  const tools = (vector.tools ?? []).flatMap((name) => definitions[name] ?? []);
  if (kind === "thinking") {
    const tags = { open: vector.open ?? "", close: vector.close ?? "" };
    return new ThinkingSplitter(tags, vector.prompt_open ?? false);
  }
  if (kind === "tools") return new ToolSplitter(tools, vector.tag ?? "");
  return parserNamed(kind)?.create({ tools, think: wish(vector.think), lastMessage: vector.last });
}

export const parsers: KindRunner = (data, { check, skip }) => {
  const kind = String(data.parser);
  const definitions = data.tool_definitions as Record<string, Tool>;
  for (const vector of data.vectors as ParserVector[]) {
    if (parserFor(kind, vector, definitions) === undefined) {
      skip();
      continue;
    }
    const recorded = Object.values(vector.runs).map((one) => normal(one.total ?? vector.total));
    const extra = better(kind, vector);
    const wrong: Record<string, Total> = {};
    for (const [name, { sizes, total }] of Object.entries(vector.runs)) {
      const parser = parserFor(kind, vector, definitions) as OutputParser;
      const actual = totalOf(parser, chunks(vector.text, name, sizes), name === "whole_done");
      const accepted = [
        ...(vector.chunk_dependent ? recorded : [normal(total ?? vector.total)]),
        ...extra,
      ];
      const same = (one: Total) => Bun.deepEquals(clean(kind, one), clean(kind, actual));
      if (!accepted.some(same) && !lostByLineBreak(kind, vector, actual)) wrong[name] = actual;
    }
    const first = Object.values(vector.runs).at(-1)?.total ?? vector.total;
    const names = Object.keys(wrong);
    check(
      `${vector.id} (${names.join(",")}) ${JSON.stringify(vector.text)}`,
      names.length === 0 ? first : wrong[names[0] ?? ""],
      first,
    );
  }
};

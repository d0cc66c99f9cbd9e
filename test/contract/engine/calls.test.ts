/**
 * Grammars of calls in the engine: each form takes what the model's own renderer writes, and its parser
 * reads that back; what breaks a tool's schema is not taken. Skipped without the native library.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Tool } from "../../../src/chat/messages.ts";
import { parserNamed } from "../../../src/chat/parsers/table.ts";
import { rendererNamed } from "../../../src/chat/renderers/table.ts";
import { vocabularySpec } from "../../../src/engine/checker.ts";
import type { LoadedModel } from "../../../src/engine/engine.ts";
import { callGrammar } from "../../../src/schema/calls/grammar.ts";
import { callSyntax } from "../../../src/schema/calls/syntax.ts";
import { tinyDecoder } from "../../support/tiny-models.ts";
import { haveLibrary, nativeEngine } from "./native.ts";

const never = new AbortController().signal;
const tools: Tool[] = [
  {
    type: "function",
    function: {
      name: "paint",
      description: "Paints a wall",
      parameters: {
        type: "object",
        properties: {
          color: { type: "string", enum: ["red", "light green"] },
          dry: { type: "boolean" },
          layers: { type: "integer" },
          note: { type: "string" },
          spots: { type: "array", items: { type: "integer" } },
        },
        required: ["color", "layers"],
      },
    },
  },
  { type: "function", function: { name: "stop", parameters: { type: "object", properties: {} } } },
];
const whole = {
  color: "light green",
  dry: true,
  layers: 2,
  note: 'a "thin" one\n, and more',
  spots: [1, 2],
};
const calls = [{ paint: whole }, { paint: { color: "red", layers: 10 } }, { stop: {} }];

/** Parsers and the renderers of the same models. */
const models: readonly [parser: string, renderer: string][] = [
  ["qwen3-vl-instruct", "qwen3-vl-instruct"],
  ["qwen3-coder", "qwen3-coder"],
  ["qwen3.5", "qwen3.5"],
  ["nemotron-3-nano", "nemotron-3-nano"],
  ["glm-4.7", "glm-4.7"],
  ["glm-ocr", "glm-ocr"],
  ["cohere", "cohere"],
  ["lfm2", "lfm2"],
  ["olmo3", "olmo3"],
];

describe.skipIf(!haveLibrary)("calls in the form of", () => {
  const folder = mkdtempSync(join(tmpdir(), "hutch-calls-"));
  const engine = nativeEngine();
  let model: LoadedModel;
  beforeAll(async () => {
    writeFileSync(join(folder, "m.gguf"), tinyDecoder("llama"));
    model = await engine.load(vocabularySpec(join(folder, "m.gguf")), never);
  });
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const check = async (parser: string, texts: readonly string[]) => {
    const syntax = callSyntax(parser, "", "");
    const text = syntax === undefined ? undefined : callGrammar(syntax, tools, false);
    if (text === undefined) throw new Error(`no grammar for ${parser}`);
    const { level, reason, verdicts } = await model.check({ kind: "lark", text }, texts, never);
    expect({ level, reason }).toEqual({ level: "enforced", reason: undefined });
    return verdicts.map(({ accepted }) => accepted);
  };

  test.each(models)("%s", async (parser, renderer) => {
    const tag = callSyntax(parser, "", "")?.tag ?? "";
    const written = calls.map((call) => {
      const [[name, values] = ["", {}]] = Object.entries(call);
      const toolCalls = [{ function: { name, arguments: values } }];
      const prompt = rendererNamed(renderer)?.({
        messages: [
          { role: "user", content: "u" },
          { role: "assistant", content: "", toolCalls },
          { role: "user", content: "u" },
        ],
        tools,
        think: { on: false, level: "" },
      });
      const answer = prompt?.slice(prompt.lastIndexOf(tag)) ?? "";
      const reader = parserNamed(parser)?.create({
        tools,
        think: { on: false, level: "" },
        lastMessage: undefined,
      });
      expect(reader?.add(answer, true).calls[0]).toEqual({ name, arguments: values });
      return answer.slice(tag.length);
    });
    expect(await check(parser, written)).toEqual(written.map(() => true));
    const wrong = written
      .slice(0, 2)
      .flatMap((text) => [
        text.replace("paint", "print"),
        text.replace(/light green|red/, "blue"),
        text.replace(/\b(?:2|10)\b/, "many"),
      ]);
    expect(await check(parser, wrong)).toEqual(wrong.map(() => false));
  });
});

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
  ["cogito", "cogito"],
  ["deepseek3", "deepseek3.1"],
  ["functiongemma", "functiongemma"],
  ["gemma4", "gemma4-small"],
  ["glimmer", "glimmer"],
  ["laguna", "laguna"],
  ["lfm2", "lfm2"],
  ["olmo3", "olmo3"],
  ["poolside-v1", "poolside-v1"],
];

const twoOfDeepSeek = (second: string) =>
  `<｜tool▁call▁begin｜>stop<｜tool▁sep｜>{}<｜tool▁call▁end｜>
<｜tool▁call▁begin｜>${second}<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>`;
const invoke = `<atem:function_calls>
<atem:invoke name="stop">
</atem:invoke>
</atem:function_calls>`;
const trees = { type: "array", items: { $ref: "#/$defs/tree" } };

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

  const plain = { lenient: false, control: () => undefined };
  const check = async (parser: string, texts: readonly string[], offered = tools) => {
    const syntax = callSyntax(parser, "", "");
    const text = syntax === undefined ? undefined : callGrammar(syntax, offered, plain);
    if (text === undefined) throw new Error(`no grammar for ${parser}`);
    const { level, reason, verdicts } = await model.check({ kind: "lark", text }, texts, never);
    expect({ level, reason }).toEqual({ level: "enforced", reason: undefined });
    return verdicts.map(({ accepted }) => accepted);
  };

  test.each(models)("%s", async (parser, renderer) => {
    const tag = callSyntax(parser, "", "")?.tags.at(-1) ?? "";
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
      const behind = prompt?.slice(prompt.lastIndexOf(tag)) ?? "";
      // Where messages have ends, the call's is the last that the model writes.
      const answer = behind.replace(/(<\|eot\|>)[\s\S]*/, "$1");
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
        text.replace(/paint(?![\s\S]*paint)/, "print"),
        text.replace(/light green|red/, "blue"),
        text.replace(/\b(?:2|10)\b/, "many"),
      ]);
    expect(await check(parser, wrong)).toEqual(wrong.map(() => false));
  });

  const paint = '{"color":"red","layers":10}';
  const thrice = '<|"|>a<tool_call|>b<|"|>';
  test.each<[parser: string, good: string[], bad: string[]]>([
    [
      "ministral",
      [`paint[ARGS]${paint}`, "stop[ARGS] {}"],
      [`print[ARGS]${paint}`, 'paint[ARGS]{"color":"red"}', "stop{}"],
    ],
    [
      "harmony",
      [
        `paint <|constrain|>json<|message|>${paint}`,
        `paint<|channel|>commentary json<|message|>${paint}`,
        `paint<|message|>${paint}`,
        "stop code<|message|>{}",
      ],
      [`print<|message|>${paint}`, "paint<|message|>{}", `paint <|constrain|>${paint}`],
    ],
    ["deepseek3", [twoOfDeepSeek("stop")], [twoOfDeepSeek("go")]],
    [
      "laguna",
      [`\n{"name": "paint", "arguments": ${paint}}</tool_call>`, `paint${paint}</tool_call>`],
      [`{"name": "print", "arguments": ${paint}}</tool_call>`, "paint{}</tool_call>"],
    ],
    ["glimmer", ["user<|message|>", `tools.stop<|message|>${invoke}`], ["stop<|message|>hi"]],
    [
      "gemma4",
      [`call:paint{color:<|"|>red<|"|>,layers:1}<tool_call|> and more`],
      [
        `call:paint{layers:1,color:<|"|>red<|"|>}<tool_call|>`,
        `call:paint{color:<|"|>red<|"|>,layers:1,note:${thrice}}<tool_call|>`,
        `call:paint{color:<|"|>red<|"|>,layers:1.5}<tool_call|>`,
        `call:paint{color:<|"|>red<|"|>,layers:1`,
      ],
    ],
  ])("%s as its models write them", async (parser, good, bad) => {
    expect(await check(parser, good)).toEqual(good.map(() => true));
    expect(await check(parser, bad)).toEqual(bad.map(() => false));
  });

  test("Gemma's values keep to schemas of every shape", async () => {
    const offered: Tool[] = [
      {
        function: {
          name: "f",
          parameters: {
            $defs: {
              tree: {
                type: "object",
                properties: { kids: trees, size: { minimum: 0, type: "number" } },
              },
            },
            properties: {
              any: {},
              either: { anyOf: [{ type: "null" }, { type: "boolean" }] },
              map: { type: "object" },
              one: { enum: ["a", 1, null] },
              pair: { type: "array", items: { type: "string" }, minItems: 2, maxItems: 2 } as never,
              tree: { $ref: "#/$defs/tree" } as never,
            },
          },
        },
      },
    ];
    const text = (inside: string) => `call:f{${inside}}<tool_call|>`;
    const good = [
      "",
      'any:<|"|>x<|"|>',
      "any:[1,true,{k:null}],either:null",
      "either:false,map:{a:1,b:{}}",
      'one:<|"|>a<|"|>',
      "one:1,tree:{kids:[{size:1.5},{}]}",
      'pair:[<|"|>a<|"|>,<|"|>b<|"|>]',
    ];
    const bad = [
      "either:1",
      "map:[]",
      "one:2",
      'pair:[<|"|>a<|"|>]',
      "tree:{size:-1}",
      "tree:{kids:[1]}",
      "none:1",
    ];
    expect(await check("gemma4", good.map(text), offered)).toEqual(good.map(() => true));
    expect(await check("gemma4", bad.map(text), offered)).toEqual(bad.map(() => false));
    const read = good.map((inside) => {
      const setup = { tools: offered, think: { on: false, level: "" }, lastMessage: undefined };
      const parser = parserNamed("gemma4")?.create(setup);
      return parser?.add(`<|tool_call>${text(inside)}`, true).calls[0]?.arguments;
    });
    expect(read).toEqual([
      {},
      { any: "x" },
      { any: [1, true, { k: null }], either: null },
      { either: false, map: { a: 1, b: {} } },
      { one: "a" },
      { one: 1, tree: { kids: [{ size: 1.5 }, {}] } },
      { pair: ["a", "b"] },
    ]);
  });
});

/**
 * Calls under their tools' schemas on the executable, in formats with control tokens within a call: the
 * models would write other arguments.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  createModel,
  haveExecutable,
  startServer,
  type TestServer,
  temporaryFolder,
} from "../support/executable.ts";
import { haveParrot, writeParrot } from "../support/parrot.ts";

const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "",
      parameters: {
        type: "object",
        properties: {
          days: { type: "integer", minimum: 3, maximum: 3 },
          location: { type: "string", enum: ["Paris"] },
        },
        required: ["location", "days"],
      },
    },
  },
];
const json = '{"location": "Boston", "days": 2}';
const deepseek = ["calls▁begin", "call▁begin", "sep", "call▁end", "calls▁end"].map(
  (name) => `<｜tool▁${name}｜>`,
);
const [callsBegin, callBegin, separator, callEnd, callsEnd] = deepseek;

/** What the model would write, and which parts of that are control tokens. */
const replies: readonly [parser: string, text: string, control: string[], think: boolean][] = [
  ["ministral", `[TOOL_CALLS]get_weather[ARGS]${json}`, ["[TOOL_CALLS]", "[ARGS]"], false],
  [
    "deepseek3",
    `I think.</think>${callsBegin}${callBegin}get_weather${separator}${json}${callEnd}${callsEnd}`,
    deepseek,
    true,
  ],
  [
    "cogito",
    `${callsBegin}${callBegin}function${separator}get_weather\n\`\`\`json\n${json}\n\`\`\`${callEnd}${callsEnd}`,
    deepseek,
    false,
  ],
  [
    "harmony",
    ` to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>${json}`,
    ["<|channel|>", "<|constrain|>", "<|message|>"],
    true,
  ],
  [
    "glimmer",
    ` to=get_weather<|message|><atem:function_calls>\n<atem:invoke name="get_weather">\n<atem:parameter name="days">two</atem:parameter>`,
    ["<|message|>"],
    false,
  ],
  [
    "functiongemma",
    "<start_function_call>call:get_weather{days:two}<end_function_call>",
    ["<start_function_call>", "<end_function_call>", "<escape>"],
    false,
  ],
  [
    "gemma4",
    '<|tool_call>call:get_weather{location:<|"|>Boston<tool_call|>',
    ["<|tool_call>", '<|"|>', "<tool_call|>"],
    false,
  ],
  ["laguna", `Hm.<tool_call>get_weather\n${json}</tool_call>`, [], true],
];

describe.skipIf(!haveExecutable || !haveParrot)(
  "calls keep to their schemas in the format of",
  () => {
    let server: TestServer;
    let folder: Awaited<ReturnType<typeof temporaryFolder>>;
    beforeAll(async () => {
      server = await startServer();
      folder = await temporaryFolder();
    });
    afterAll(async () => {
      await server?.[Symbol.asyncDispose]();
      await folder?.[Symbol.asyncDispose]();
    });

    /** The message that a model gives which would write `text`. */
    const ask = async (parser: string, text: string, control: string[], think: boolean) => {
      const { path, templates } = writeParrot(folder.path, { text, control }, `${parser}.gguf`);
      const template = templates["parrot-tool"] ?? "";
      await createModel(server, parser, path, { template, parser, parameters: { temperature: 0 } });
      const answer = await server.post("/api/chat", {
        model: parser,
        messages: [{ role: "user", content: "hi" }],
        stream: false,
        think,
        tools,
        options: { num_predict: 800 },
      });
      return ((await answer.json()) as { message: unknown }).message;
    };

    test.each(replies)("%s", async (parser, text, control, think) => {
      expect(await ask(parser, text, control, think)).toMatchObject({
        tool_calls: [
          { function: { name: "get_weather", arguments: { days: 3, location: "Paris" } } },
        ],
      });
    });

    test.each<[parser: string, text: string, control: string[], content: string]>([
      [
        "glimmer",
        " to=user<|message|>I go to=get_weather.",
        ["<|message|>"],
        "I go to=get_weather.",
      ],
      [
        "harmony",
        "<|channel|>final<|message|>Not to=functions.x",
        ["<|channel|>", "<|message|>"],
        "Not to=functions.x",
      ],
      ["ministral", 'No [ARGS]{"a": 1} here', ["[TOOL_CALLS]"], 'No [ARGS]{"a": 1} here'],
    ])("%s, whose other messages stay free", async (parser, text, control, content) => {
      expect(await ask(parser, text, control, false)).toEqual({ role: "assistant", content });
    });
  },
);

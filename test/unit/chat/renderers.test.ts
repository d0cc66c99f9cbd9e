/** What built-in renderers make of odd conversations: rules that few conversations show. */
import { expect, test } from "bun:test";
import type { ChatMessage, Conversation, ThinkWish, Tool } from "../../../src/chat/messages.ts";
import { renderGo } from "../../../src/chat/render-go.ts";
import { rendererNamed } from "../../../src/chat/renderers/table.ts";

const on: ThinkWish = { on: true, level: "medium" };
const off: ThinkWish = { on: false, level: "" };
const user = (content: string, images: string[] = []): ChatMessage => ({
  role: "user",
  content,
  ...(images.length > 0 ? { images } : {}),
});
const said = (content: string, more: Partial<ChatMessage> = {}): ChatMessage => ({
  role: "assistant",
  content,
  ...more,
});
const rule = (content: string): ChatMessage => ({ role: "system", content });
const result = (content: string, more: Partial<ChatMessage> = {}): ChatMessage => ({
  role: "tool",
  content,
  ...more,
});
const called = (name: string, args: Record<string, unknown> = {}, id?: string) => ({
  toolCalls: [{ function: { name, arguments: args }, ...(id === undefined ? {} : { id }) }],
});
const tool = (name: string, parameters?: Tool["function"]["parameters"]): Tool => ({
  type: "function",
  function: { name, ...(parameters === undefined ? {} : { parameters }) },
});

function prompt(name: string, messages: ChatMessage[], rest: Partial<Conversation> = {}): string {
  const render = rendererNamed(name);
  if (render === undefined) throw new Error(`no renderer "${name}"`);
  return render({ messages, tools: [], think: undefined, ...rest });
}

test("a tool without parameters is written with null for its properties", () => {
  const text = prompt("deepseek3.1", [user("now?")], { tools: [tool("tide")] });
  expect(text).toContain('Parameters: {"type":"","properties":null}\n');
});

test("a property's null type is an empty one", () => {
  const parameters = { type: "object", properties: { at: { type: null as never } } };
  const text = prompt("deepseek3.1", [user("now?")], { tools: [tool("tide", parameters)] });
  expect(text).toContain('"properties":{"at":{"type":""}}');
});

test("an image's marker is parted by a blank only from text, and a text's own marker stays alone", () => {
  const text = prompt("qwen3.5", [user("", ["x"]), user("\nsee", ["y"]), user("[img-0] z", ["w"])]);
  expect(text).toContain("user\n[img-0]<|im_end|>");
  expect(text).toContain("user\n[img-1]\nsee<|im_end|>");
  expect(text).toContain("user\n[img-0] z<|im_end|>");
});

test("roles that a format does not know are left out where it has no place for them", () => {
  const messages = [{ role: "narrator", content: "rain" }, user("hi")];
  for (const name of ["glm-4.7", "laguna", "olmo3", "qwen3.5", "glimmer", "cohere"]) {
    expect(prompt(name, messages)).not.toContain("rain");
  }
  expect(prompt("qwen3-coder", messages)).toContain("<|im_start|>narrator\nrain<|im_end|>");
});

test("cogito: a message that is not shown behind the user's leaves the answer opened once", () => {
  const text = prompt("cogito", [user("hi"), rule("late")]);
  expect(text.split("<｜Assistant｜>")).toHaveLength(2);
});

test("deepseek3.1: thoughts are announced only where the message has some", () => {
  const spoken = (message: ChatMessage) =>
    prompt("deepseek3.1", [user("q"), message], { think: on });
  expect(spoken(said("a"))).toContain("<｜Assistant｜></think>a");
  expect(spoken(said("a", { thinking: "hm" }))).toContain("<｜Assistant｜><think>a");
  const after = [user("q"), said("", called("tide")), result("low"), said("x</think>a")];
  expect(prompt("deepseek3.1", after)).toContain("x</think>a<｜end▁of▁sentence｜>");
});

test("cohere: a result keeps an id that no call had, the first call of an id counts, calls end a turn", () => {
  const twice = [user("q"), said("", called("a", {}, "i")), said("", called("b", {}, "i"))];
  const text = prompt("cohere", [...twice, result("1", { toolCallId: "i" })]);
  expect(text).toContain('"tool_call_id": "0",\n        "results"');
  expect(prompt("cohere", [result("1", { toolCallId: "lost" })])).toContain(
    '"tool_call_id": "lost"',
  );
  expect(prompt("cohere", twice)).toEndWith("<|CHATBOT_TOKEN|><|START_THINKING|>");
});

test("functiongemma: an offer in the user's own words is not made twice, results follow calls by place", () => {
  const offer = "You can do function calling with the following functions:";
  const text = prompt("functiongemma", [rule(offer), user("q")], { tools: [tool("tide")] });
  expect(text.split(offer)).toHaveLength(2);
  expect(text).toContain(
    "declaration:tide{description:<escape><escape>}<end_function_declaration>",
  );
  const round = [user("q"), said("", called("tide", { n: 2, h: null })), result(" low ")];
  expect(prompt("functiongemma", round)).toEndWith(
    "<start_function_call>call:tide{h:<nil>,n:2}<end_function_call><start_function_response>response:tide{value}<end_function_response>".replace(
      "{value}",
      "{<escape> low <escape>}",
    ),
  );
});

test("gemma4: calls without answers leave the response open, and unasked answers are left out", () => {
  const asked = [user("q"), said("", called("tide"))];
  expect(prompt("gemma4-small", asked)).toEndWith(
    "<|tool_call>call:tide{}<tool_call|><|tool_response>",
  );
  expect(prompt("gemma4-small", [user("q"), result("low")])).not.toContain("low");
  const named = [...asked.slice(0, 1), said("", called("tide", {}, "i"))];
  const text = prompt("gemma4-small", [
    ...named,
    result("low", { toolCallId: "i", toolName: "x" }),
  ]);
  expect(text).toContain('response:tide{value:<|"|>low<|"|>}');
});

test("gemma4: channels that a text spells out are cut from the model's own messages", () => {
  const text = prompt("gemma4-small", [
    user("q"),
    said(" <|channel>thought\nhm<channel|> yes "),
    user("r"),
  ]);
  expect(text).toContain("<|turn>model\nyes<turn|>");
});

test("gemma4: schemas show what their type calls for", () => {
  const parameters = {
    type: "object",
    properties: {
      pick: { type: "string", enum: ["a", 1, null] },
      when: { anyOf: [{ type: "string" }, { type: "null" }] },
      odd: { anyOf: [{ type: "string", description: "d" }] },
      list: { type: "array", items: { type: ["string", "null"], title: "T" } },
      bag: { type: "object" },
    },
  };
  const text = prompt("gemma4-small", [user("q")], { tools: [tool("t", parameters)] });
  const q = (word: string) => `<|"|>${word}<|"|>`;
  expect(text).toContain(
    `properties:{bag:{properties:{},type:${q("OBJECT")}},list:{items:{title:${q("T")},type:[${q("STRING")},${q("NULL")}]},type:${q("ARRAY")}},odd:{},pick:{enum:[${q("a")},${q("1")},${q("<nil>")}],type:${q("STRING")}},when:{type:${q("['STRING', 'NULL']")}}}`,
  );
});

test("glimmer: a stated strength is not stated again, names share their namespace", () => {
  const told = prompt("glimmer", [rule("Reasoning effort: tiny.")], {
    tools: [tool("sea.tide"), tool("sea.wind")],
  });
  expect(told).toContain("<|message|>Reasoning strength: tiny.\n\n");
  expect(told.match(/[Rr]easoning strength/g)).toHaveLength(1);
  expect(told).toContain('# Valid recipients: "self", "sea.*", "user".');
  const open = [said("", called("tide", {}, "i")), said("ok"), result("low", { toolCallId: "i" })];
  const text = prompt("glimmer", open);
  expect(text).toContain("</atem:function_calls><|eom|>");
  expect(text).toContain('<tool_output name="tide">');
});

test("glm-ocr: an order not to think is not repeated, thoughts are trimmed", () => {
  expect(prompt("glm-ocr", [user("q/nothink")], { think: off })).toContain(
    "q/nothink<|assistant|>",
  );
  expect(prompt("glm-ocr", [said("", { thinking: " hm " })])).toContain(
    "<think>hm</think>\n<|assist",
  );
});

test("laguna: an assistant's empty last message is closed and nothing follows it", () => {
  expect(prompt("laguna", [user("q"), said(" ")])).toEndWith(
    "<assistant>\n</think>\n</assistant>\n",
  );
  const text = prompt("poolside-v1", [rule(" "), user("q")], { think: on });
  expect(text).toStartWith("〈|EOS|〉<system></system>\n");
});

test("lfm2: thoughts of earlier answers are cut unless thinking is on", () => {
  const talk = [user("q"), said("x</think> a"), user("r"), said("b</think>c"), user("s")];
  expect(prompt("lfm2", talk)).toContain("assistant\na<|im_end|>");
  expect(prompt("lfm2", talk)).toContain("assistant\nb</think>c<|im_end|>");
  expect(prompt("lfm2-thinking", talk, { think: on })).toContain(
    "assistant\nx</think> a<|im_end|>",
  );
});

test("nemotron-3-nano: words in texts switch thinking, and are taken out", () => {
  const text = prompt("nemotron-3-nano", [rule("be brief /no_think"), user("go </think>")]);
  expect(text).toStartWith(
    "<|im_start|>system\nbe brief <|im_end|>\n<|im_start|>user\ngo </think><|im_end|>",
  );
  expect(text).toEndWith("<think></think>");
  expect(prompt("nemotron-3-nano", [user("hm /think")], { think: off })).toEndWith("<think>\n");
  expect(prompt("nemotron-3.5-nano", [user("hm /no_think")])).toContain("hm /no_think<|im_end|>");
});

test("olmo3: a message with calls is closed even at the end", () => {
  const text = prompt("olmo3", [user("q"), said("so", called("tide"))]);
  expect(text).toEndWith(
    "so<function_calls>tide()</function_calls><|im_end|>\n<|im_start|>assistant\n",
  );
});

test("qwen3-coder: the first system message with a text rules", () => {
  expect(prompt("qwen3-coder", [rule(""), rule("two"), user("q")])).toStartWith(
    "<|im_start|>system\ntwo<|im_end|>",
  );
});

test("qwen3.5: what a tool answered in a user's name is no question", () => {
  const wrapped = user("<tool_response>low</tool_response>");
  const talk = [user("q"), said("a", { thinking: "hm" }), wrapped];
  expect(prompt("qwen3.5", talk)).toContain("<think>\nhm\n</think>\n\na");
  expect(prompt("qwen3-vl-thinking", talk)).toContain("<think>\nhm\n</think>\n\na");
  expect(() => prompt("qwen3.8", [wrapped])).toThrow("no user query found in messages");
});

test("qwen3.8: instructions are gathered in front, a low effort is asked for", () => {
  const low: ThinkWish = { on: true, level: "low", named: true };
  const talk = [user("q"), { role: "developer", content: " one " }, rule("two")];
  const text = prompt("qwen3.8", talk, { think: low });
  expect(text).toStartWith("<|im_start|>system\nReasoning effort is set to low.");
  expect(text).toContain("\n\none\n\ntwo<|im_end|>\n<|im_start|>user\nq<|im_end|>\n");
  const pictured = [{ ...rule("x"), images: ["y"] }, user("q")];
  expect(() => prompt("qwen3.8", pictured)).toThrow("system message cannot contain images");
});

test("Go templates see a tool without parameters as having none", () => {
  const text = renderGo("{{ range .Messages }}{{ end }}{{ .Tools }}", {
    messages: [user("q")],
    tools: [tool("tide"), tool("bag", { type: "object", properties: { a: { items: [] } } })],
    think: undefined,
  });
  expect(text).toContain(
    '"name":"tide","description":"","parameters":{"type":"","properties":null}',
  );
  expect(text).toContain('"properties":{"a":{"items":[]}}');
});

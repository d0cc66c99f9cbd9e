/** Jinja texts and the families they are matched to, and the Go templates that families get. */
import { describe, expect, test } from "bun:test";
import type { ChatMessage } from "../../../src/chat/messages.ts";
import { renderGo } from "../../../src/chat/render-go.ts";
import {
  editDistance,
  familyNamed,
  knownNames,
  knownTemplate,
  printOf,
} from "../../../src/model/known-templates.ts";

const chatml =
  "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const conversation: ChatMessage[] = [
  { role: "system", content: "S" },
  { role: "user", content: "U1" },
  { role: "assistant", content: "A1" },
  { role: "user", content: "U2" },
];

function rendered(name: string): string {
  const { template } = familyNamed(name) ?? { template: "" };
  return renderGo(template, { messages: conversation, tools: [], think: undefined });
}

describe("a Jinja text", () => {
  test("is matched when fewer than 100 edits lie between, and not from 100 on", () => {
    expect(knownTemplate(chatml)?.name).toBe("chatml");
    expect(knownTemplate(chatml + "x".repeat(90))?.name).toBe("chatml");
    expect(knownTemplate(`${chatml}${"{# a comment that is long #}".repeat(20)}`)).toBeUndefined();
    expect(knownTemplate("{{ messages }}")).toBeUndefined();
    expect(knownTemplate("")).toBeUndefined();
  });

  test("of any length is compared within bounded time", () => {
    const start = performance.now();
    knownTemplate(chatml.repeat(2000));
    knownTemplate("🙂".repeat(4600));
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

test("edits are counted up to the bound", () => {
  expect(editDistance("kitten", "sitting", 100)).toBe(3);
  expect(editDistance("", "abc", 100)).toBe(3);
  expect(editDistance("abc", "", 100)).toBe(3);
  expect(editDistance("abc", "abc", 100)).toBe(0);
  expect(editDistance("abcdef", "uvwxyz", 4)).toBe(4);
  expect(editDistance("abc", "abcdefg", 4)).toBe(4);
  expect(printOf("a🙂b")).toHaveLength(3);
});

describe("the Go template of a family", () => {
  test.each([...knownNames])("%s keeps all texts in their order and ends open", (name) => {
    const prompt = rendered(name);
    expect(prompt).toMatch(/S.*U1.*A1.*U2/s);
    expect(prompt.endsWith("U2")).toBe(false);
  });

  test.each([
    [
      "gemma-instruct",
      "<start_of_turn>user\nS\nU1<end_of_turn>\n<start_of_turn>model\nA1<end_of_turn>\n<start_of_turn>user\nU2<end_of_turn>\n<start_of_turn>model\n",
    ],
    [
      "alpaca",
      "S\n\n### Instruction:\nU1\n\n### Response:\nA1\n\n### Instruction:\nU2\n\n### Response:\n",
    ],
    ["mistral-instruct", "[INST] S\n\nU1[/INST] A1</s>[INST] U2[/INST]"],
    [
      "llama2-chat",
      "[INST] <<SYS>>\nS\n<</SYS>>\n\nU1 [/INST] A1</s><s>[INST] <<SYS>><</SYS>>\n\nU2 [/INST]",
    ],
    [
      "openchat",
      "GPT4 Correct System: S<|end_of_turn|>GPT4 Correct User: U1<|end_of_turn|>GPT4 Correct Assistant: A1<|end_of_turn|>GPT4 Correct User: U2<|end_of_turn|>GPT4 Correct Assistant:",
    ],
    [
      "llama3-instruct",
      "<|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU1<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA1<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU2<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    ],
  ])("%s writes its turns", (name, prompt) => {
    expect(rendered(name)).toBe(prompt);
  });
});

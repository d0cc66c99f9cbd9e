/** Prompts by a GGUF's own Jinja template: how they end, with and without tools. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChatMessage, Tool } from "../../../src/chat/messages.ts";
import { jinjaRequest } from "../../../src/chat/prompt.ts";
import type { Engine, LoadedModel } from "../../../src/engine/engine.ts";
import { tinyDecoder } from "../../support/tiny-models.ts";
import { loadSpec } from "./cases.ts";
import { haveLibrary, nativeEngine } from "./native.ts";

const chatTemplate =
  "{%- if tools %}<{{ tools|length }} tools>{% endif %}{%- for m in messages %}[{{ m.role }}{% for c in m.tool_calls or [] %}!{{ c.function.name }}{% endfor %}] {{ m.content }}\n{% endfor -%}{%- if add_generation_prompt %}[assistant] {% endif -%}";
const call = { function: { name: "f", arguments: {} } };
const tool: Tool = {
  type: "function",
  function: { name: "f", description: "d", parameters: { type: "object", properties: {} } },
};
const hello: ChatMessage = { role: "user", content: "hello" };

describe.skipIf(!haveLibrary)("a prompt by a Jinja template", () => {
  let folder = "";
  let engine: Engine;
  let model: LoadedModel;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "hutch-test-"));
    engine = nativeEngine();
    const path = join(folder, "m.gguf");
    writeFileSync(path, tinyDecoder("llama", { chatTemplate }));
    model = await engine.load(loadSpec(path), new AbortController().signal);
  });
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const prompt = (messages: ChatMessage[], tools: Tool[] = []) =>
    model.applyTemplate(jinjaRequest({ messages, tools, think: undefined }));

  test("opens the assistant's turn", async () => {
    expect(await prompt([hello])).toBe("[user] hello\n[assistant] ");
  });

  test("leaves the assistant's last words open, to go on with them", async () => {
    const words: ChatMessage = { role: "assistant", content: "Well, I" };
    expect(await prompt([hello, words])).toBe("[user] hello\n[assistant] Well, I");
    expect(await prompt([hello, words], [tool])).toBe("<1 tools>[user] hello\n[assistant] Well, I");
    expect(await prompt([hello, words, words])).toBe(
      "[user] hello\n[assistant] Well, I\n[assistant] Well, I",
    );
  });

  test("opens a new turn behind calls, and for an empty message", async () => {
    const called: ChatMessage = { role: "assistant", content: "x", toolCalls: [call] };
    expect(await prompt([hello, called])).toBe("[user] hello\n[assistant!f] x\n[assistant] ");
    expect(await prompt([hello, { role: "assistant", content: "" }])).toBe(
      "[user] hello\n[assistant] ",
    );
  });
});

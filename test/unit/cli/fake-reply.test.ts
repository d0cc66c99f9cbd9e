/** What the fake model answers. */
import { describe, expect, test } from "bun:test";
import { fakeReply } from "../../../src/cli/fake/reply.ts";

const options = { seed: 0, words: 12 };
const tool = (name: string, more: object = {}) =>
  JSON.stringify({
    type: "function",
    function: { name, parameters: { type: "object", properties: {} }, ...more },
  });

function prompt(user: string, tools: string[] = [], last = ""): string {
  const block = tools.length > 0 ? `<|im_start|>tools\n${tools.join("\n")}\n<|im_end|>\n` : "";
  return `${block}<|im_start|>user\n${user}<|im_end|>\n${last}<|im_start|>assistant\n`;
}

const names = (text: string) => [...text.matchAll(/"name":"(\w+)"/g)].map((match) => match[1]);

describe("the fake's answers", () => {
  test("are the same for the same prompt, as long as wanted, others with another seed", () => {
    const text = fakeReply(prompt("Hello"), options);
    expect(fakeReply(prompt("Hello"), options)).toBe(text);
    expect(text.split(" ")).toHaveLength(12);
    expect(fakeReply(prompt("Hello"), { ...options, seed: 1 })).not.toBe(text);
    expect(fakeReply(prompt("Hello!"), options)).not.toBe(text);
    expect(fakeReply("a prompt without turns", options)).toEndWith(".");
  });

  test("call the tools that a message names, else the one that it is about, else none", () => {
    const tools = [
      tool("get_weather"),
      tool("lookup", { description: "Searches the encyclopedia" }),
      tool("addNumbers"),
    ];
    const called = (user: string) => names(fakeReply(prompt(user, tools), options));
    expect(called("use addNumbers and get_weather")).toEqual(["get_weather", "addNumbers"]);
    expect(called("What is the weather in Rome?")).toEqual(["get_weather"]);
    expect(called("Is it in an encyclopedia?")).toEqual(["lookup"]);
    expect(called("What is the sum of these numbers?")).toEqual(["addNumbers"]);
    expect(called("Hello there")).toEqual([]);
    expect(called("With this, what would you do?")).toEqual([]);
  });

  test("are text once the tool has answered", () => {
    const last = "<|im_start|>tool\nsunny weather<|im_end|>\n";
    expect(fakeReply(prompt("weather?", [tool("get_weather")], last), options)).not.toContain("{");
  });

  test("call with arguments that fit the tool's schema", () => {
    const parameters = {
      type: "object",
      properties: { city: { enum: ["Rome"] }, days: { type: "integer", minimum: 3, maximum: 3 } },
      required: ["city", "days"],
    };
    const text = fakeReply(prompt("weather", [tool("weather", { parameters })]), options);
    expect(text).toContain('{"name":"weather","arguments":{"city":"Rome","days":3}}');
  });

  test("think where the prompt opens it", () => {
    expect(fakeReply(`${prompt("weather")}<think>\n`, options)).toMatch(
      /^I am .*\n<\/think>\n\n[A-Z]/,
    );
  });
});

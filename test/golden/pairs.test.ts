/**
 * Models of which both templates are known, the GGUF's Jinja and the Go one of Ollama's library: both
 * write a prompt for the same conversation. Where the two differ, the reason stands here; a new
 * difference fails. Skipped without the pairs or the native library.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Native } from "../../ffi/native.ts";
import type { ChatMessage } from "../../src/chat/messages.ts";
import { jinjaRequest } from "../../src/chat/prompt.ts";
import { renderGo } from "../../src/chat/render-go.ts";
import { haveLibrary, libraryFolderOfTests } from "../contract/engine/native.ts";
import { tinyDecoder } from "../support/tiny-models.ts";

interface Pair {
  model: string;
  gguf: string;
  ollama: { template: string };
}

const file = resolve(
  import.meta.dir,
  "../../../shared/data/templates/hf-ollama-pairs/jinja-to-ollama-pairs.json",
);
const present = existsSync(file);
const pairs: Pair[] = present ? JSON.parse(readFileSync(file, "utf8")) : [];

/** Why the two prompts of a model differ. */
const reasons: Readonly<Record<string, string>> = {
  "aya-expanse:8b": "Go writes an end of turn before the opening of the answer",
  "cogito:14b": "Jinja puts the wish to think into the system text",
  "command-a:111b": "Go writes a long preamble, and no marks around old answers",
  "command-r:35b": "Go writes an end of turn before the opening of the answer",
  "command-r7b:7b": "Go writes a long preamble, and no marks around old answers",
  "deepcoder:14b": "Jinja opens the thinking",
  "deepseek-coder:1.3b": "Jinja ends old answers with their token",
  "deepseek-v3:671b": "Go begins each later round with the beginning of text",
  "exaone-deep:2.4b": "Jinja opens the thinking",
  "firefunction-v2:70b": "Go trims fewer blanks in its instructions",
  "gemma3:1b": "Go has the system text in a turn of its own, Jinja takes none of one role only",
  "glm4:9b": "Go knows rounds only, each with the beginning of text",
  "granite3.1-moe:1b": "Go adds its default behind the system text",
  "hermes3:70b": "Go has no line break at the end",
  "llama-guard3:1b": "Go breaks lines at the end, Jinja writes a blank before the mark",
  "llama-pro:latest": "Go knows rounds only, each with a system turn",
  "llama3.2-vision:90b": "Jinja prints dates, and the system text as a list of parts",
  "llama3.2:3b": "Jinja prints today's date",
  "llava:7b": "Go joins the system text with a blank, and ends no old answer",
  "mistral-large:123b": "Go has the system text in the last question",
  "mistral:7b-instruct-fp16": "Go knows rounds only, and ends no old answer",
  "mixtral:8x7b": "Go knows rounds only, and ends no old answer",
  "nuextract:3.8b": "Go leaves the system text out",
  "openchat:7b": "Go names no role for the system text",
  "phi3:14b": "Go has a system turn, Jinja puts the text before the question",
  "phi4-mini:3.8b": "Go ends the system turn with tools only",
  "phi4:14b": "Go breaks lines after marks",
  "qwq:32b": "Jinja opens the thinking",
  "tulu3:70b": "Jinja ends old answers with their token",
  "yi:6b": "Go has a system turn, Jinja none",
};

/** Templates that refuse a system message of their own accord. */
const withoutSystem = new Set(["llama-guard3:1b"]);

const chat: readonly ChatMessage[] = [
  { role: "system", content: "Answer in one word." },
  { role: "user", content: "Hello!" },
  { role: "assistant", content: "Good morning." },
  { role: "user", content: "How deep?" },
];

/** Without the beginning of text: the tokenizer writes it where a Go template does not. */
const bare = (prompt: string) => prompt.replace(/^(<s>|<\|begin_of_text\|>|<bos>)+/, "");

describe.skipIf(!present || !haveLibrary)("both templates of a model write a prompt", () => {
  const folder = mkdtempSync(join(tmpdir(), "hutch-pairs-"));
  let native: Native;
  beforeAll(() => {
    native = new Native(libraryFolderOfTests);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function renderJinja(chatTemplate: string, messages: readonly ChatMessage[]): string {
    const path = join(folder, "model.gguf");
    writeFileSync(path, tinyDecoder("llama", { chatTemplate }));
    const numbers = {
      context: 256,
      slots: 1,
      batch: 64,
      threads: 1,
      gpu_layers: 0,
      flash_attention: -1,
    };
    const model = native.load(path, {
      numbers,
      cacheType: "f16",
      adapters: [],
      projector: undefined,
    });
    try {
      const request = jinjaRequest({ messages, tools: [], think: undefined });
      return model.render(request.messagesJson, "", JSON.stringify(request.kwargs), "opened");
    } finally {
      model.free();
    }
  }

  test.each(pairs.map((pair) => [pair.model.replace("library/", ""), pair] as const))(
    "%s",
    (name, { gguf, ollama }) => {
      const messages = withoutSystem.has(name) ? chat.slice(1) : chat;
      const go = bare(renderGo(ollama.template, { messages, tools: [], think: undefined }));
      const jinja = bare(renderJinja(gguf, messages));
      expect(go).toContain("How deep?");
      expect(jinja).toContain("How deep?");
      if (go === jinja) expect(reasons[name]).toBeUndefined();
      else {
        if (reasons[name] === undefined) expect(jinja).toBe(go);
        console.log(`${name}: ${reasons[name]}`);
      }
    },
  );
});

test.skipIf(present)("pairs of templates are beside the checkout", () => {
  expect(present).toBe(true);
});

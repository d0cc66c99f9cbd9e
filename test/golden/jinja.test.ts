/**
 * Jinja templates of well-known models with exact renderings: what a GGUF's own template makes of a
 * conversation here, through llama-common, against the recorded text. Where the two differ the reason
 * stands here. Skipped without the recordings or the native library.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Native } from "../../ffi/native.ts";
import { EngineError } from "../../src/errors.ts";
import { haveLibrary, libraryFolderOfTests } from "../contract/engine/native.ts";
import { tinyDecoder } from "../support/tiny-models.ts";

interface Case {
  chat_template: string;
  data: { messages: unknown[]; tools?: unknown[]; add_generation_prompt?: boolean };
  target: string;
}

const file = resolve(
  import.meta.dir,
  "../../../shared/data/templates/hf-jinja-expected/e2e-cases.json",
);
const present = existsSync(file);
const groups = present
  ? (JSON.parse(readFileSync(file, "utf8")) as Record<string, Record<string, Case>>)
  : {};
const cases = Object.entries({ ...groups.TEST_DEFAULT_TEMPLATES, ...groups.TEST_CUSTOM_TEMPLATES });

/** Why the prompt is not the recorded one; all are llama-common's ways. */
const reasons: Readonly<Record<string, string>> = {
  "CohereForAI/c4ai-command-r-v01": "its tools are not in OpenAI's form",
  "HuggingFaceTB/SmolLM3-3B": "it prints today's date",
  "LiquidAI/LFM2.5-VL-450M": "images as parts of a message; hutch writes markers",
  "MadeAgents/Hammer2.1": "tools printed by the template as Python prints them",
  "NousResearch/Hermes-2-Pro-Llama-3-8B (JSON Schema)": "what a tool returns is left out",
  "Qwen/Qwen2.5-VL-7B-Instruct": "images as parts of a message; hutch writes markers",
  "meetkai/functionary-medium-v2.2": "a message without content gets an empty one",
  "meta-llama/Llama-3.1-8B-Instruct": "what a tool returns is left out",
  "meta-llama/Llama-3.2-11B-Vision-Instruct": "images as parts of a message; hutch writes markers",
  "meta-llama/Llama-Guard-3-11B-Vision": "images as parts of a message; hutch writes markers",
  "mistralai/Mistral-7B-Instruct-v0.3 (JSON Schema)":
    "the system text goes into the first question",
  "mistralai/Mistral-Nemo-Instruct-2407":
    "its filter selectattr knows no test of what is undefined",
  "openbmb/MiniCPM3-4B": "fields that are not OpenAI's are left out",
  "zai-org/GLM-5.1": "calls without a type are refused; hutch gives them one",
};

/** Without the beginning of text: the tokenizer of the test's model writes it. */
const bare = (prompt: string) => prompt.replace(/^<s>/, "");

describe.skipIf(!present || !haveLibrary)(
  "a GGUF's own template writes the recorded prompt",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "hutch-jinja-"));
    let native: Native;
    beforeAll(() => {
      native = new Native(libraryFolderOfTests);
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    function render({ chat_template, data }: Case): string {
      const path = join(folder, "model.gguf");
      writeFileSync(path, tinyDecoder("llama", { chatTemplate: chat_template }));
      const model = native.load(path, {
        numbers: {
          context: 256,
          slots: 1,
          batch: 64,
          threads: 1,
          gpu_layers: 0,
          flash_attention: -1,
        },
        cacheType: "f16",
        adapters: [],
        projector: undefined,
      });
      const { messages, tools, add_generation_prompt = false, ...variables } = data;
      try {
        return model.render(
          JSON.stringify(messages),
          tools === undefined ? "" : JSON.stringify(tools),
          JSON.stringify(variables),
          add_generation_prompt ? "opened" : "plain",
        );
      } finally {
        model.free();
      }
    }

    test.each(cases)("%s", (name, one) => {
      const reason = reasons[name];
      if (reason === undefined) expect(bare(render(one))).toBe(bare(one.target));
      else {
        // Whether it fails or differs: when llama.cpp learns it, the reason goes.
        let text: string | undefined;
        try {
          text = render(one);
        } catch (error) {
          expect(error).toBeInstanceOf(EngineError);
        }
        expect(text).not.toBe(one.target);
        console.log(`${name}: ${reason}`);
      }
    });
  },
);

test.skipIf(present)("recorded renderings are beside the checkout", () => {
  expect(present).toBe(true);
});

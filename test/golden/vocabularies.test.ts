/**
 * Special tokens of real vocabularies, those of the vendored llama.cpp tree: text that a user wrote never
 * becomes one of them, for every one. Skipped where the sources were not fetched or nothing is built.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Native } from "../../ffi/native.ts";
import { readBuildEnvironment } from "../../scripts/build/environment.ts";
import { markTexts } from "../../src/chat/user-text.ts";
import { PromptTokenizer } from "../../src/engine/runner/prompt-tokens.ts";
import { NativeVocabulary } from "../../src/engine/runner/vocabulary.ts";
import { SpecialTexts } from "../../src/engine/special-texts.ts";
import { haveLibrary, libraryFolderOfTests } from "../contract/engine/native.ts";

const sources = join(readBuildEnvironment().cache, "source");
const folders = existsSync(sources) ? readdirSync(sources) : [];
const files = folders.slice(0, 1).flatMap((folder) => {
  const models = join(sources, folder, "models");
  const names = existsSync(models) ? readdirSync(models) : [];
  return names
    .filter((name) => /^ggml-vocab-.*\.gguf$/.test(name))
    .map((name) => join(models, name));
});

/** Enough of each: some vocabularies have thousands of tokens that only fill them up. */
const most = 300;

describe.skipIf(files.length === 0 || !haveLibrary)(
  "no special token comes from a user's text",
  () => {
    test.each(files.map((file) => [file.replace(/^.*ggml-vocab-/, ""), file]))("%s", (_, file) => {
      const native = new Native(libraryFolderOfTests);
      const model = native.load(file, {
        numbers: {
          context: 4,
          slots: 1,
          batch: 1,
          threads: 1,
          gpu_layers: 0,
          flash_attention: -1,
          vocabulary_only: 1,
        },
        cacheType: "f16",
        adapters: [],
        projector: undefined,
      });
      try {
        const vocabulary = new NativeVocabulary(model);
        const { specials } = vocabulary;
        const prompts = new PromptTokenizer(vocabulary);
        const texts = new SpecialTexts(specials.map(({ text }) => text));
        const controls = new Set(specials.filter(({ control }) => control).map(({ id }) => id));
        for (const { id, text, control } of specials.slice(0, most)) {
          const { value, pieces } = markTexts(texts, [`say ${text} or${text}so`]);
          const parts = pieces(`${text}${value[0]}`).map((piece) => ({
            text: piece,
            parseSpecial: true,
          }));
          const tokens = prompts.tokens(parts).flatMap((part) => Array.from(part));
          // The first is the template's own.
          expect([text, tokens[0]]).toEqual([text, id]);
          if (control)
            expect([text, tokens.slice(1).find((token) => controls.has(token))]).toEqual([
              text,
              undefined,
            ]);
        }
        expect(specials.length).toBeGreaterThan(0);
      } finally {
        model.free();
      }
    });
  },
);

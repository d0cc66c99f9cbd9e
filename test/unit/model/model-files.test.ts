import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { modelFiles, requestNames } from "../../../src/model/model-files.ts";
import { writeFolder } from "../../support/safetensors.ts";

const folder = mkdtempSync(join(tmpdir(), "hutch-files-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const weights = new Uint8Array([0, 1, 2, 255]);

function found(files: Record<string, unknown>): string[] {
  const place = mkdtempSync(join(folder, "model-"));
  writeFolder(place, files);
  return modelFiles(place).map((path) => relative(place, path));
}

describe("files of a model's folder", () => {
  test("safetensors with what stands beside them, in folders too", () => {
    const names = found({
      "model-00001-of-00002.safetensors": weights,
      "model-00002-of-00002.safetensors": weights,
      "model.safetensors.index.json": {},
      "config.json": {},
      "tokenizer.model": weights,
      "chat_template.jinja": new TextEncoder().encode("{{ x }}"),
      "1_Pooling/config.json": {},
      "README.md": weights,
    });
    expect(names.sort()).toEqual([
      "1_Pooling/config.json",
      "chat_template.jinja",
      "config.json",
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
      "tokenizer.model",
    ]);
  });

  test("adapters of PEFT and MLX", () => {
    const peft = { "adapter_config.json": {}, "adapter_model.safetensors": weights };
    expect(found(peft).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
    const mlx = { "adapter_config.json": {}, "adapters.safetensors": weights };
    expect(found(mlx).sort()).toEqual(["adapter_config.json", "adapters.safetensors"]);
  });

  test("a GGUF goes alone", () => {
    expect(found({ "m.gguf": weights, "config.json": {} })).toEqual(["m.gguf"]);
  });

  test("nothing that could be a model", () => {
    expect(() => found({ "notes.txt": {} })).toThrow("no Modelfile or safetensors files found");
  });

  test("a link that leads out of the folder", () => {
    const place = mkdtempSync(join(folder, "link-"));
    writeFolder(place, { "config.json": {} });
    writeFolder(folder, { "elsewhere.safetensors": weights });
    symlinkSync(join(folder, "elsewhere.safetensors"), join(place, "model.safetensors"));
    expect(() => modelFiles(place)).toThrow("insecure path: ");
  });

  test("are named by what they have in common", () => {
    expect(requestNames(["/a/b/m.gguf"])).toEqual(["m.gguf"]);
    expect(requestNames(["/a/b/m", "/a/b/c/n"])).toEqual(["m", "c/n"]);
  });
});

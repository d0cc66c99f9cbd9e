/**
 * The models of a fake server: a head of a GGUF without a vocabulary, and a template that shows the
 * fake engine what it needs to see. They can do what clients ask models for.
 */

import { digestOf } from "../../model/digest.ts";
import { checkGguf } from "../../model/gguf/check.ts";
import { type WriteValue, writeGguf } from "../../model/gguf/writer.ts";
import { renderConfig } from "../../model/manifest.ts";
import { mediaTypes } from "../../model/media-types.ts";
import { displayName, type ModelName, parseName } from "../../model/name.ts";
import type { Store } from "../../model/store.ts";
import type { FakeModels } from "../../server/deps.ts";

/** Length of the vectors. */
export const fakeVectorLength = 384;
const contextLength = 131_072;

const u32 = (value: number): WriteValue => ({ type: "uint32", value });
const metadata: readonly (readonly [string, WriteValue])[] = [
  ["general.architecture", { type: "string", value: "llama" }],
  ["general.name", { type: "string", value: "fake" }],
  ["general.file_type", u32(1)],
  ["llama.context_length", u32(contextLength)],
  ["llama.embedding_length", u32(fakeVectorLength)],
  ["llama.block_count", u32(1)],
  ["llama.attention.head_count", u32(4)],
  ["llama.attention.head_count_kv", u32(4)],
];

/** Turns as in ChatML; tools stand in a turn of their own, a line each. */
const template = `{{- if .Suffix }}{{ .Prompt }}<|fill|>{{ .Suffix }}{{ else }}
{{- if .Tools }}<|im_start|>tools
{{ range .Tools }}{{ . }}
{{ end }}<|im_end|>
{{ end }}
{{- range .Messages }}<|im_start|>{{ .Role }}
{{ if .Thinking }}<think>
{{ .Thinking }}
</think>

{{ end }}{{ .Content }}
{{- if .ToolCalls }}{{ range .ToolCalls }}<tool_call>
{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
</tool_call>
{{ end }}{{ end }}<|im_end|>
{{ end }}<|im_start|>assistant
{{ if .Think }}<think>
{{ end }}{{ end }}`;

const parameters = JSON.stringify({ num_ctx: contextLength, stop: ["<|im_end|>"] });

function ggufOfNothing(): Uint8Array {
  const parts: Uint8Array[] = [];
  const tensor = {
    name: "token_embd.weight",
    type: 1,
    shape: [fakeVectorLength, 2],
    data: () => [new Uint8Array(fakeVectorLength * 4)],
  };
  writeGguf({ write: (bytes) => parts.push(bytes.slice()) }, { metadata, tensors: [tensor] });
  return Buffer.concat(parts);
}

/** Writes the model that all names mean. */
function writeModel(store: Store, name: ModelName): void {
  const bytes = ggufOfNothing();
  const model = store.putBytes(bytes, mediaTypes.model).layer;
  const { facts } = checkGguf(store.blobPath(digestOf(bytes)));
  const layers = [
    model,
    store.putBytes(template, mediaTypes.template).layer,
    store.putBytes(parameters, mediaTypes.params).layer,
  ];
  const config = renderConfig({
    model_format: "gguf",
    model_family: facts.architecture,
    model_families: [facts.architecture],
    model_type: facts.parameterSize,
    file_type: facts.fileType,
    capabilities: ["completion", "vision"],
  });
  store.writeManifest(name, store.putBytes(config, mediaTypes.config).layer, layers);
}

/**
 * @param names the only models that there are; empty: every name is one
 */
export function fakeModels(store: Store, names: readonly ModelName[]): FakeModels {
  const provide = (name: ModelName): boolean => {
    const wanted = displayName(name);
    if (names.length > 0 && !names.some((one) => displayName(one) === wanted)) return false;
    if (store.manifest(name) === undefined) writeModel(store, name);
    return true;
  };
  for (const name of names.length > 0 ? names : [parseName("fake")]) provide(name);
  return { provide };
}

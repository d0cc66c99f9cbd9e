/** Bodies of Ollama's API as TypeBox schemas; `go` names the Go type that decoding errors speak of. */
import { type Static, Type as t } from "@sinclair/typebox";

const text = t.Optional(t.String({ go: "string" }));
const flag = t.Optional(t.Boolean({ go: "bool" }));
const whole = t.Optional(t.Integer({ go: "int" }));
/** Read by its own rules, with its own errors. */
const anything = t.Optional(t.Any());
const map = t.Optional(t.Object({}, { go: "map[string]interface {}", additionalProperties: true }));
const textMap = t.Optional(t.Object({}, { go: "map[string]string", additionalProperties: true }));

const ToolCallShape = t.Object(
  {
    id: text,
    function: t.Optional(
      t.Object(
        {
          index: whole,
          name: text,
          arguments: t.Optional(
            t.Object(
              {},
              {
                refusal: "Value looks like object, but can't find closing '}' symbol",
                additionalProperties: true,
              },
            ),
          ),
        },
        { go: "api.ToolCallFunction" },
      ),
    ),
  },
  { go: "api.ToolCall" },
);

const MessageShape = t.Object(
  {
    role: text,
    content: text,
    thinking: text,
    images: t.Optional(t.Array(t.String({ go: "api.ImageData" }), { go: "[]api.ImageData" })),
    tool_calls: t.Optional(t.Array(ToolCallShape, { go: "[]api.ToolCall" })),
    tool_name: text,
    tool_call_id: text,
  },
  { go: "api.Alias" },
);

const ToolShape = t.Object(
  {
    type: text,
    items: anything,
    function: t.Optional(
      t.Object(
        {
          name: text,
          description: text,
          parameters: t.Optional(
            t.Object({}, { go: "api.ToolFunctionParameters", additionalProperties: true }),
          ),
        },
        { go: "api.ToolFunction" },
      ),
    ),
  },
  { go: "api.Tool", struct: "Tool" },
);

const inference = {
  model: text,
  stream: flag,
  format: t.Optional(t.Any({ keepsText: true })),
  // hutch's own, beside format (docs/structured-output.md).
  strict: flag,
  grammar: text,
  regex: text,
  choice: t.Optional(t.Array(t.String({ go: "string" }), { go: "[]string" })),
  keep_alive: anything,
  options: map,
  think: anything,
  truncate: flag,
  shift: flag,
  logprobs: flag,
  top_logprobs: whole,
  _debug_render_only: flag,
};

export const GenerateBody = t.Object({
  ...inference,
  prompt: text,
  suffix: text,
  system: text,
  template: text,
  context: t.Optional(t.Array(t.Integer({ go: "int" }), { go: "[]int" })),
  raw: flag,
  images: t.Optional(t.Array(t.String({ go: "api.ImageData" }), { go: "[]api.ImageData" })),
});
export type GenerateBody = Static<typeof GenerateBody>;

export const ChatBody = t.Object({
  ...inference,
  messages: t.Optional(t.Array(MessageShape, { go: "[]api.Message" })),
  tools: t.Optional(t.Array(ToolShape, { go: "api.Tools" })),
});
export type ChatBody = Static<typeof ChatBody>;

export const EmbedBody = t.Object({
  model: text,
  input: anything,
  truncate: flag,
  dimensions: whole,
  options: map,
  keep_alive: anything,
});
export type EmbedBody = Static<typeof EmbedBody>;

export const EmbeddingsBody = t.Object({
  model: text,
  prompt: text,
  options: map,
  keep_alive: anything,
});
export type EmbeddingsBody = Static<typeof EmbeddingsBody>;

export const ShowBody = t.Object({
  model: text,
  name: text,
  system: text,
  template: text,
  verbose: flag,
  options: map,
});
export type ShowBody = Static<typeof ShowBody>;

export const CreateBody = t.Object({
  model: text,
  name: text,
  from: text,
  files: textMap,
  adapters: textMap,
  template: text,
  license: anything,
  system: text,
  parameters: map,
  messages: t.Optional(t.Array(MessageShape, { go: "[]api.Message" })),
  quantize: text,
  quantization: text,
  draft_files: map,
  draft_quantize: text,
  stream: flag,
  renderer: text,
  parser: text,
  requires: text,
  info: map,
  remote_host: text,
  modelfile: text,
  path: text,
});
export type CreateBody = Static<typeof CreateBody>;

export const CopyBody = t.Object({ source: text, destination: text });
export type CopyBody = Static<typeof CopyBody>;

export const DeleteBody = t.Object({ model: text, name: text });
export type DeleteBody = Static<typeof DeleteBody>;

export const TransferBody = t.Object({
  model: text,
  name: text,
  insecure: flag,
  stream: flag,
  /** Of hutch's own: what the pulled manifest must hash to. */
  digest: text,
});
export type TransferBody = Static<typeof TransferBody>;

/**
 * Bodies of Ollama's API as TypeBox schemas: requests are checked by them, and `/openapi.json` is made of
 * them. `go` names the Go type that decoding errors speak of.
 */
import { type Static, Type as t } from "@sinclair/typebox";
import { parseThink } from "../../model/think.ts";
import { parseKeepAlive } from "../../scheduler/keep-alive.ts";
import { decodeBase64 } from "./go-body.ts";
import { noMap, toolParameters } from "./tool-shapes.ts";

const text = (description: string) => t.Optional(t.String({ go: "string", description }));
const flag = (description: string) => t.Optional(t.Boolean({ go: "bool", description }));
const whole = (description: string) => t.Optional(t.Integer({ go: "int", description }));
/** Read by its own rules, with its own errors. @param forms what it may be: for the document only */
const anything = (description: string, ...forms: readonly object[]) =>
  t.Optional(t.Any({ description, ...(forms.length === 0 ? {} : { anyOf: forms }) }));
/** As `anything`, where Go has a decoder for the field. @param check throws what that one says */
const checked = (check: (value: unknown) => void, description: string, ...anyOf: object[]) =>
  t.Optional(t.Any({ own: true, check, description, anyOf }));
const map = (description: string) =>
  t.Optional(
    t.Object({}, { go: "map[string]interface {}", additionalProperties: true, description }),
  );
const textMap = (description: string) =>
  t.Optional(
    t.Object(
      {},
      { go: "map[string]string", additionalProperties: t.String({ go: "string" }), description },
    ),
  );
const isBase64 = (value: unknown): void => void decodeBase64(value as string);
const images = (description: string) =>
  t.Optional(
    t.Array(t.String({ go: "api.ImageData", contentEncoding: "base64", check: isBase64 }), {
      go: "[]api.ImageData",
      description,
    }),
  );

const number = { type: "number" };
const string = { type: "string" };
const object = { type: "object" };
const bool = { type: "boolean" };
const strings = { type: "array", items: string };

const model = text("Name of the model, as in lists; `:latest` may be left out.");
const name = text("Older word for `model`.");
const options = map("Options as in a Modelfile's PARAMETER; names that are unknown are ignored.");
const keepAlive = checked(
  parseKeepAlive,
  "How long the model stays loaded afterwards: seconds, or a duration like `5m`; 0 unloads it, a negative one keeps it.",
  number,
  string,
);
const stream = flag("Lines as they come, or with false one object. True when left out.");

export const ToolCallShape = t.Object(
  {
    id: text("As the answer gave it."),
    function: t.Optional(
      t.Object(
        {
          index: whole("Place among the calls of one answer."),
          name: text("Name of the tool."),
          arguments: t.Optional(
            t.Object(
              {},
              {
                own: true,
                refusal: noMap,
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

export const MessageShape = t.Object(
  {
    role: text("`system`, `user`, `assistant` or `tool`."),
    content: text("What is said."),
    thinking: text("What the model thought before it answered."),
    images: images("Images or sounds, base64."),
    tool_calls: t.Optional(t.Array(ToolCallShape, { go: "[]api.ToolCall" })),
    tool_name: text("Of a `tool` message: the tool whose result it is."),
    tool_call_id: text("Of a `tool` message: the call whose result it is."),
  },
  { go: "api.Alias", own: true },
);

export const ToolShape = t.Object(
  {
    type: text("`function`."),
    items: anything("Kept as it is."),
    function: t.Optional(
      t.Object(
        {
          name: text("What the model calls it by."),
          description: text("What it does, for the model."),
          parameters: t.Optional(
            t.Object(
              {},
              {
                go: "api.ToolFunctionParameters",
                inside: () => toolParameters,
                additionalProperties: true,
                description: "JSON schema of the arguments.",
              },
            ),
          ),
        },
        { go: "api.ToolFunction", struct: "ToolFunction" },
      ),
    ),
  },
  { go: "api.Tool", struct: "Tool" },
);

const inference = {
  model,
  stream,
  format: t.Optional(
    t.Any({
      keepsText: true,
      description: '`"json"`, or the JSON schema that the answer keeps to.',
      anyOf: [string, object],
    }),
  ),
  // hutch's own, beside format (docs/structured-output.md).
  strict: flag("hutch: refuse a form that cannot be enforced."),
  grammar: text("hutch: GBNF grammar that the answer keeps to."),
  regex: text("hutch: regular expression that the whole answer matches."),
  choice: t.Optional(
    t.Array(t.String({ go: "string" }), {
      go: "[]string",
      description: "hutch: the answer is one of these texts.",
    }),
  ),
  keep_alive: keepAlive,
  options,
  think: checked(
    parseThink,
    "Whether a thinking model thinks first, or how much: `low`, `medium`, `high`, `max`.",
    bool,
    string,
  ),
  truncate: flag("Whether a prompt that is too long is cut (the default) or refused."),
  shift: flag("Whether an answer that fills the context pushes out its beginning (the default)."),
  logprobs: flag("Whether the answer tells the probability of its tokens."),
  top_logprobs: whole("How many likely tokens are told for each place, 0 to 20."),
  _debug_render_only: flag("Answers with the prompt instead of running it."),
};

export const GenerateBody = t.Object({
  ...inference,
  prompt: text("Nothing: the model is only loaded, or with `keep_alive` 0 unloaded."),
  suffix: text("What comes behind the answer, for models that fill in."),
  system: text("System message, instead of the model's."),
  template: text("Go template for the prompt, instead of the model's."),
  context: t.Optional(
    t.Array(t.Integer({ go: "int" }), {
      go: "[]int",
      description: "`context` of an earlier answer.",
    }),
  ),
  raw: flag("The prompt goes to the model as it is, without template."),
  images: images("Images or sounds, base64."),
});
export type GenerateBody = Static<typeof GenerateBody>;

export const ChatBody = t.Object({
  ...inference,
  messages: t.Optional(
    t.Array(MessageShape, {
      go: "[]api.Message",
      description: "None: the model is only loaded, or with `keep_alive` 0 unloaded.",
    }),
  ),
  tools: t.Optional(t.Array(ToolShape, { go: "api.Tools" })),
});
export type ChatBody = Static<typeof ChatBody>;

export const EmbedBody = t.Object({
  model,
  input: anything("One text or many.", string, strings),
  truncate: flag("Whether texts that are too long are cut (the default) or refused."),
  dimensions: whole("Vectors are cut to so many numbers and normalised again."),
  options,
  keep_alive: keepAlive,
});
export type EmbedBody = Static<typeof EmbedBody>;

export const EmbeddingsBody = t.Object({
  model,
  prompt: text("The text."),
  options,
  keep_alive: keepAlive,
});
export type EmbeddingsBody = Static<typeof EmbeddingsBody>;

export const ShowBody = t.Object({
  model,
  name,
  system: text("Shown instead of the model's system message."),
  template: text("Ignored."),
  verbose: flag("Whether long lists, such as the vocabulary, are shown."),
  options: map("Merged into the Modelfile that is shown."),
});
export type ShowBody = Static<typeof ShowBody>;

export const CreateBody = t.Object({
  model: text("Name of the new model."),
  name,
  from: text("Model to start from; pulled when it is missing. Goes before `files`."),
  files: textMap("Model files: relative path → digest of an uploaded blob."),
  adapters: textMap("LoRA adapters: name → digest of an uploaded blob."),
  template: text("Go template for prompts."),
  license: anything("One licence or many.", string, strings),
  system: text("System message."),
  parameters: map("Options that requests start from."),
  messages: t.Optional(
    t.Array(MessageShape, {
      go: "[]api.Message",
      description: "Messages that come before those of every request.",
    }),
  ),
  quantize: text("Type to quantise to: `Q4_K_M`, `Q8_0`, …"),
  quantization: text("Older word for `quantize`."),
  draft_files: map("Files of a draft model."),
  draft_quantize: text("Type to quantise the draft model to."),
  stream,
  renderer: text("Name of a built-in renderer of prompts."),
  parser: text("Name of a built-in parser of answers."),
  requires: text("Least version of Ollama that the model needs."),
  info: map("Corrections of what the files say: `context_length`, `capabilities`, …"),
  remote_host: text("Host of another server, kept in the model; hutch does not run such models."),
  modelfile: text("Old form of the request: the text of a Modelfile."),
  path: text("Old form of the request: the path of a Modelfile, for clients on the same machine."),
});
export type CreateBody = Static<typeof CreateBody>;

export const CopyBody = t.Object({
  source: text("Name of the model."),
  destination: text("The other name."),
});
export type CopyBody = Static<typeof CopyBody>;

export const DeleteBody = t.Object({ model, name });
export type DeleteBody = Static<typeof DeleteBody>;

export const TransferBody = t.Object({
  model: text("Name of the model, with the registry's host where it is not the usual one."),
  name,
  insecure: flag("Whether plain HTTP and unknown certificates will do."),
  stream,
  digest: text("hutch: what the pulled manifest must hash to, 64 hex digits."),
  shards: t.Optional(
    t.Array(t.String({ go: "string" }), {
      go: "[]string",
      description: "hutch: digests of the files that the hub must have, with `digest`.",
    }),
  ),
});
export type TransferBody = Static<typeof TransferBody>;

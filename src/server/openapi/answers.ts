/**
 * What the routes answer, as TypeBox schemas: they describe, and check nothing while hutch runs. A test
 * holds them against recorded answers of the reference and against hutch's own.
 */
import { Type as t } from "@sinclair/typebox";
import { MessageShape } from "../ollama/schemas.ts";

const text = (description: string) => t.Optional(t.String({ description }));
const count = (description: string) => t.Optional(t.Integer({ minimum: 0, description }));
const duration = (description: string) =>
  t.Optional(t.Integer({ minimum: 0, description: `${description}, nanoseconds` }));
const time = (description: string) => t.String({ format: "date-time", description });
const digest = t.String({ pattern: "^[0-9a-f]{64}$", description: "SHA-256 of the manifest" });

export const ErrorAnswer = t.Object({
  error: t.String({ description: "What went wrong." }),
  code: t.Optional(
    t.String({
      description: "hutch: its kind, in the line that ends a stream, with X-Hutch-Extras.",
    }),
  ),
});

/** Error shape of the routes that belong to OpenAI's API. */
export const OpenAiError = t.Object({
  error: t.Object({
    message: t.String(),
    type: t.String(),
    param: t.Union([t.String(), t.Null()]),
    code: t.Union([t.String(), t.Null()]),
  }),
});

const probability = {
  token: t.String(),
  logprob: t.Number({ description: "Natural logarithm of its probability." }),
  bytes: t.Optional(t.Array(t.Integer({ minimum: 0, maximum: 255 }))),
};

export const Logprob = t.Object({
  ...probability,
  top_logprobs: t.Optional(t.Array(t.Object(probability))),
});

const CalledFunction = t.Object({
  index: t.Integer(),
  name: t.String(),
  arguments: t.Object({}, { additionalProperties: true }),
});

export const ToolCall = t.Object({
  id: text("For `tool_call_id`; chat only."),
  function: CalledFunction,
});

export const Truncated = t.Object({
  messages: t.Integer({ minimum: 0, description: "Messages dropped." }),
  tokens: t.Integer({ minimum: 0, description: "Tokens dropped." }),
});

/** Of every object of an answer, and of its last one. */
const answer = {
  model: t.String({ description: "As in the request." }),
  created_at: time("When the piece was made."),
  done: t.Boolean({ description: "Whether this is the last object." }),
  done_reason: text("`stop`, `length`; `load` and `unload` where nothing was to be answered."),
  total_duration: duration("The whole request"),
  load_duration: duration("Waiting for the model"),
  prompt_eval_count: count("Tokens of the prompt."),
  prompt_eval_duration: duration("Reading the prompt"),
  eval_count: count("Tokens of the answer."),
  eval_duration: duration("Writing the answer"),
  logprobs: t.Optional(t.Array(Logprob)),
  _debug_info: t.Optional(t.Object({ rendered_template: t.String() })),
  prompt_cached_count: count("hutch: tokens of the prompt that came from the cache."),
  draft_count: count("hutch: tokens that were guessed ahead."),
  draft_accepted_count: count("hutch: those of them that came true."),
  truncated: t.Optional(Truncated),
  format_level: text("hutch: how the answer's form was kept, `enforced` or `validated`."),
  format_error: text("hutch: what is wrong with the form of an answer that `num_predict` cut."),
};

export const GenerateAnswer = t.Object({
  ...answer,
  response: t.String({ description: "The answer, or its next piece." }),
  thinking: text("What the model thought, or its next piece."),
  context: t.Optional(t.Array(t.Integer(), { description: "Tokens so far, for `context`." })),
  tool_calls: t.Optional(t.Array(ToolCall)),
});

export const ChatAnswer = t.Object({
  ...answer,
  message: t.Object({
    role: t.String(),
    content: t.String({ description: "The answer, or its next piece." }),
    thinking: text("What the model thought, or its next piece."),
    tool_calls: t.Optional(t.Array(ToolCall)),
  }),
});

export const EmbedAnswer = t.Object({
  model: t.String(),
  embeddings: t.Array(t.Array(t.Number()), { description: "A vector for each text." }),
  total_duration: duration("The whole request"),
  load_duration: duration("Waiting for the model"),
  prompt_eval_count: count("Tokens of the texts."),
  truncated: t.Optional(Truncated),
});

export const EmbeddingsAnswer = t.Object({ embedding: t.Array(t.Number()) });

/** A line of pull, push or create. */
export const Progress = t.Object({
  status: t.String({ description: "What is being done; `success` is the last one." }),
  digest: text("The blob that it is done to."),
  total: count("Bytes of the blob."),
  completed: count("Bytes done; absent while there are none."),
});

const details = {
  parent_model: t.String(),
  format: t.String(),
  family: t.String(),
  families: t.Union([t.Array(t.String()), t.Null()]),
  parameter_size: t.String({ description: "Number of weights, like `8.0B`." }),
  quantization_level: t.String(),
};

export const Details = t.Object(details);

export const ModelRow = t.Object({
  name: t.String(),
  model: t.String(),
  modified_at: time("When the name was written."),
  size: t.Integer({ description: "Bytes of all its blobs." }),
  digest,
  details: t.Object({
    ...details,
    context_length: count("Tokens of context that it was trained for."),
    embedding_length: count("Numbers of a vector."),
  }),
  capabilities: t.Optional(t.Array(t.String())),
});

export const RunningRow = t.Object({
  name: t.String(),
  model: t.String(),
  size: t.Integer({ description: "Bytes in memory." }),
  digest,
  details: Details,
  expires_at: time("When it is unloaded if nobody uses it."),
  size_vram: t.Integer({ description: "Bytes in the memory of GPUs." }),
  context_length: t.Integer(),
  state: text("hutch: `running`, or `stopping`: it goes when its last request ends."),
  slots: t.Optional(t.Object({ busy: t.Integer(), total: t.Integer() })),
  queue: count("hutch: requests that wait for a slot."),
});

export const LoadingRow = t.Object({
  name: t.String(),
  model: t.String(),
  digest,
  state: t.String({ description: "`loading` or `queued`." }),
  waiting: t.Integer({ description: "Requests that wait for it." }),
});

export const TagsAnswer = t.Object({ models: t.Array(ModelRow) });

export const PsAnswer = t.Object({
  models: t.Array(RunningRow),
  loading: t.Optional(t.Array(LoadingRow)),
});

const info = (description: string) => t.Object({}, { additionalProperties: true, description });

export const ShowAnswer = t.Object({
  license: text("All licences."),
  modelfile: text("The model as a Modelfile."),
  parameters: text("A line for each value."),
  template: text("The template in use."),
  system: text("System message."),
  details: Details,
  messages: t.Optional(t.Array(MessageShape)),
  model_info: info("Metadata of the file; long lists are null without `verbose`."),
  projector_info: t.Optional(info("Metadata of the projector.")),
  tensors: t.Optional(
    t.Array(t.Object({ name: t.String(), type: t.String(), shape: t.Array(t.Integer()) })),
  ),
  capabilities: t.Optional(t.Array(t.String())),
  modified_at: time("When the name was written."),
  requires: text("Least version of Ollama that it needs."),
});

export const VersionAnswer = t.Object({
  version: t.String({ description: "Version of Ollama's API; `X-Hutch-Version` tells hutch's." }),
});

export const StatusAnswer = t.Object({
  cloud: t.Object({ disabled: t.Boolean(), source: t.String() }),
});

export const Recommendations = t.Object({ recommendations: t.Array(t.Any()) });

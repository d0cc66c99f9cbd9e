/**
 * Messages between a server and its runner children, one union each way. Requests carry an id of the
 * parent's; answers repeat it. What a child sends is always checked, because its memory may be damaged:
 * against these schemas, and what comes with every token by hand. What it is sent is checked in tests and
 * development only (`checkMessages`).
 */
import { type Static, type TSchema, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type {
  ConstraintReport,
  GenerateEvent,
  GenerateRequest,
  LoadedModelInfo,
  LoadSpec,
  TextPart,
} from "./engine.ts";

const Id = t.Integer({ minimum: 0 });
const Tokens = t.Array(t.Integer());

const LoadSpecShape = t.Object({
  path: t.String(),
  adapters: t.Array(t.Object({ path: t.String(), scale: t.Number() })),
  projectors: t.Array(t.String()),
  contextLength: t.Integer({ minimum: 1 }),
  slots: t.Integer({ minimum: 1, maximum: 256 }),
  batchSize: t.Integer({ minimum: 1 }),
  threads: t.Integer({ minimum: 0 }),
  gpuLayers: t.Integer(),
  mainGpu: t.Optional(t.Integer()),
  mmap: t.Optional(t.Boolean()),
  kvCacheType: t.String(),
  flashAttention: t.Union([t.Literal("auto"), t.Literal("on"), t.Literal("off")]),
  deterministic: t.Optional(t.Boolean()),
  inPlace: t.Optional(t.Boolean()),
  draft: t.Optional(t.String()),
  vocabularyOnly: t.Optional(t.Boolean()),
});

const constraint = {
  kind: t.Union([t.Literal("schema"), t.Literal("lark"), t.Literal("regex"), t.Literal("choice")]),
  text: t.String(),
};

const ConstraintUseShape = t.Object({
  ...constraint,
  thinking: t.Optional(
    t.Object({
      open: t.String({ minLength: 1 }),
      close: t.String({ minLength: 1 }),
      opened: t.Boolean(),
    }),
  ),
  tag: t.Optional(
    t.Object({
      texts: t.Array(t.String({ minLength: 1 }), { minItems: 1 }),
      atStart: t.Boolean(),
      before: t.String(),
      next: t.Union([t.Literal("text"), t.Literal("message"), t.Literal("end")]),
    }),
  ),
});

const SamplingShape = t.Object({
  seed: t.Integer({ minimum: 0, maximum: 0xffff_ffff }),
  temperature: t.Number(),
  topK: t.Integer(),
  topP: t.Number(),
  minP: t.Number(),
  typicalP: t.Number(),
  repeatLastN: t.Integer(),
  repeatPenalty: t.Number(),
  presencePenalty: t.Number(),
  frequencyPenalty: t.Number(),
  mirostat: t.Union([t.Literal(0), t.Literal(1), t.Literal(2)]),
  mirostatTau: t.Number(),
  mirostatEta: t.Number(),
});

const TextPartShape = t.Union([
  t.Object({ text: t.String(), parseSpecial: t.Boolean() }),
  t.Object({ tokens: Tokens, texts: t.Optional(t.Array(t.String())) }),
]);

const DraftKind = t.Union([t.Literal("ngram"), t.Literal("model")]);

const GenerateShape = t.Object({
  prompt: t.Array(t.Union([TextPartShape, t.Object({ media: t.Uint8Array() })])),
  addSpecial: t.Boolean(),
  sampling: SamplingShape,
  stop: t.Array(t.String({ minLength: 1 })),
  visible: t.Array(t.String({ minLength: 1 })),
  maxTokens: t.Integer({ minimum: 1 }),
  shift: t.Boolean(),
  keep: t.Integer(),
  logprobs: t.Optional(t.Integer({ minimum: 0, maximum: 20 })),
  constraint: t.Optional(ConstraintUseShape),
  draft: t.Optional(t.Object({ kind: DraftKind, most: t.Integer({ minimum: 1 }) })),
  wantContext: t.Boolean(),
});

/** Parent to child. */
export const Command = t.Union([
  t.Object({
    type: t.Literal("load"),
    spec: LoadSpecShape,
    parent: t.Integer(),
    libraries: t.Object({
      cacheFolder: t.Optional(t.String()),
      tempFolder: t.String(),
      libraryFolder: t.Optional(t.String()),
    }),
    // Evaluated prompts on disk; undefined = none.
    prefixCache: t.Optional(t.Object({ folder: t.String(), limitBytes: t.Integer() })),
  }),
  t.Object({
    type: t.Literal("tokenize"),
    id: Id,
    text: t.String(),
    addSpecial: t.Boolean(),
    parseSpecial: t.Boolean(),
  }),
  t.Object({
    type: t.Literal("prompt"),
    id: Id,
    prompt: t.Array(TextPartShape),
    addSpecial: t.Boolean(),
  }),
  t.Object({ type: t.Literal("detokenize"), id: Id, tokens: Tokens }),
  t.Object({
    type: t.Literal("render"),
    id: Id,
    messages: t.String(),
    tools: t.String(),
    variables: t.String(),
    ending: t.Union([t.Literal("opened"), t.Literal("continued")]),
  }),
  t.Object({ type: t.Literal("generate"), id: Id, request: GenerateShape }),
  t.Object({ type: t.Literal("check"), id: Id, ...constraint, texts: t.Array(t.String()) }),
  t.Object({
    type: t.Literal("embed"),
    id: Id,
    texts: t.Array(t.String()),
    options: t.Object({
      normalize: t.Boolean(),
      limit: t.Integer({ minimum: 0 }),
      truncate: t.Boolean(),
    }),
  }),
  t.Object({ type: t.Literal("cancel"), id: Id }),
  // Back-pressure: a paused request keeps its slot but is not sampled.
  t.Object({ type: t.Literal("pause"), id: Id }),
  t.Object({ type: t.Literal("resume"), id: Id }),
]);

const Logprob = t.Object({
  token: t.String(),
  logprob: t.Number(),
  bytes: t.Array(t.Integer({ minimum: 0, maximum: 255 })),
});

const TextShape = t.Object({
  type: t.Literal("text"),
  text: t.String(),
  logprobs: t.Optional(t.Array(t.Composite([Logprob, t.Object({ top: t.Array(Logprob) })]))),
});

const DoneShape = t.Object({
  type: t.Literal("done"),
  reason: t.Union([t.Literal("stop"), t.Literal("length")]),
  promptTokens: t.Integer({ minimum: 0 }),
  cachedTokens: t.Integer({ minimum: 0 }),
  shiftedTokens: t.Integer({ minimum: 0 }),
  promptNs: t.Integer({ minimum: 0 }),
  evalTokens: t.Integer({ minimum: 0 }),
  evalNs: t.Integer({ minimum: 0 }),
  drafted: t.Optional(
    t.Object({ tokens: t.Integer({ minimum: 0 }), accepted: t.Integer({ minimum: 0 }) }),
  ),
  context: t.Optional(Tokens),
});

const EventShape = t.Union([TextShape, DoneShape]);

const Failure = t.Object({
  code: t.String(),
  message: t.String(),
  promptTokens: t.Optional(t.Integer()),
  contextLength: t.Optional(t.Integer()),
});

const BrokenRuleShape = t.Object({
  pointer: t.Optional(t.String()),
  keyword: t.String(),
  reason: t.String(),
});

const ConstraintReportShape = t.Object({
  level: t.Union([t.Literal("enforced"), t.Literal("validated"), t.Literal("refused")]),
  reason: t.Optional(BrokenRuleShape),
  compileMs: t.Number({ minimum: 0 }),
  verdicts: t.Array(t.Object({ accepted: t.Boolean(), broken: t.Optional(BrokenRuleShape) })),
});

/** Child to parent. */
export const Report = t.Union([
  t.Object({
    type: t.Literal("ready"),
    /** A signal makes it hear its parent soon, also in a long step (`hutch_interrupt_init`). */
    interruptible: t.Boolean(),
    info: t.Object({
      contextLength: t.Integer(),
      trainedContextLength: t.Integer(),
      slots: t.Integer(),
      vocabularySize: t.Integer(),
      addsBos: t.Boolean(),
      embeddingLength: t.Integer(),
      inputs: t.Object({ images: t.Boolean(), sound: t.Boolean() }),
      canShift: t.Boolean(),
      drafts: t.Optional(t.Array(DraftKind)),
      draftProblem: t.Optional(t.String()),
      gpus: t.Optional(t.Array(t.String())),
      gpuSharesMemory: t.Optional(t.Boolean()),
      gpuProblem: t.Optional(t.String()),
      specialTokens: t.Array(
        t.Object({ id: t.Integer(), text: t.String(), added: t.Optional(t.Boolean()) }),
      ),
      chatTemplate: t.Optional(t.String()),
      memory: t.Object({ total: t.Number(), gpu: t.Number() }),
    }),
  }),
  // Still at work: sent now and then when a step brings nothing else to say.
  t.Object({ type: t.Literal("progress") }),
  // The model has more slots now, and holds more memory.
  t.Object({
    type: t.Literal("resized"),
    memory: t.Object({ total: t.Number(), gpu: t.Number() }),
  }),
  // The model could not be loaded; the child ends by itself.
  t.Object({ type: t.Literal("failed"), error: Failure, log: t.String() }),
  t.Object({ type: t.Literal("tokens"), id: Id, tokens: Tokens }),
  t.Object({ type: t.Literal("text"), id: Id, text: t.String() }),
  t.Object({ type: t.Literal("checked"), id: Id, report: ConstraintReportShape }),
  // Float32 numbers of all vectors, one after the other, as bytes of this machine.
  t.Object({
    type: t.Literal("vectors"),
    id: Id,
    bytes: t.Uint8Array(),
    promptTokens: t.Integer({ minimum: 0 }),
    cutTokens: t.Integer({ minimum: 0 }),
  }),
  t.Object({ type: t.Literal("error"), id: Id, error: Failure }),
  // All that one step brought, for all requests.
  t.Object({ type: t.Literal("events"), events: t.Array(t.Tuple([Id, EventShape])) }),
]);

type CommandShape = Static<typeof Command>;
type ReportShape = Static<typeof Report>;

/** The unions as the code uses them: the same shapes, with the engine's own (read-only) types. */
export type Command =
  | Exclude<CommandShape, { type: "load" | "generate" | "prompt" }>
  | (Omit<Extract<CommandShape, { type: "load" }>, "spec" | "libraries"> & {
      spec: LoadSpec;
      libraries: {
        cacheFolder?: string | undefined;
        tempFolder: string;
        libraryFolder?: string | undefined;
      };
    })
  | { type: "generate"; id: number; request: GenerateRequest }
  | { type: "prompt"; id: number; prompt: readonly TextPart[]; addSpecial: boolean };
export type Report =
  | Exclude<ReportShape, { type: "events" | "ready" | "checked" }>
  | { type: "checked"; id: number; report: ConstraintReport }
  | { type: "ready"; interruptible: boolean; info: Omit<LoadedModelInfo, "loadNs"> }
  | { type: "events"; events: [id: number, event: GenerateEvent][] };
export type Failure = Static<typeof Failure>;

/**
 * A message as the channel carries it. JSON text costs half of what an object costs there, and the
 * channel is in the way of every token; messages with bytes go as they are.
 */
export function encodeMessage(message: Command | Report): unknown {
  const media =
    message.type === "generate" && message.request.prompt.some((part) => "media" in part);
  return media || message.type === "vectors" ? message : JSON.stringify(message);
}

/** @throws SyntaxError for a text that is no JSON */
export function decodeMessage(carried: unknown): unknown {
  return typeof carried === "string" ? JSON.parse(carried) : carried;
}

const isCount = (value: unknown) => Number.isInteger(value) && (value as number) >= 0;

/** Counts that every end of an answer has. */
const doneCounts = [
  "promptTokens",
  "cachedTokens",
  "shiftedTokens",
  "promptNs",
  "evalTokens",
  "evalNs",
];

/** An end without its context and without guesses. */
function isPlainDone(event: Readonly<Record<string, unknown>>): boolean {
  const { reason, context, drafted } = event;
  const bare = context === undefined && drafted === undefined;
  return (
    bare &&
    (reason === "stop" || reason === "length") &&
    doneCounts.every((key) => isCount(event[key]))
  );
}

/** Whether an entry of `events` is what a step brings for most requests, or an end without its context. */
function isPlainEvent(entry: unknown): boolean {
  if (!Array.isArray(entry) || entry.length !== 2 || !Number.isInteger(entry[0])) return false;
  const event = entry[1] as Readonly<Record<string, unknown>> | null | undefined;
  if (event?.type === "done") return isPlainDone(event);
  return event?.type === "text" && typeof event.text === "string" && event.logprobs === undefined;
}

/** The reports that come with every token, prompt and embedding, told without walking through the schemas. */
function isPlainReport(report: unknown): report is Report {
  const fields = (report ?? {}) as Record<string, unknown>;
  const { type, id, events, tokens, bytes } = fields;
  if (type === "events") return Array.isArray(events) && events.every(isPlainEvent);
  if (!Number.isInteger(id)) return false;
  if (type === "tokens") return Array.isArray(tokens) && tokens.every(Number.isInteger);
  if (type !== "vectors" || !(bytes instanceof Uint8Array)) return false;
  return isCount(fields.promptTokens) && isCount(fields.cutTokens);
}

/** What a child sent. @throws SyntaxError, TypeError for what is no report */
export function readReport(carried: unknown): Report {
  const report = decodeMessage(carried);
  return isPlainReport(report) ? report : (checkMessage(Report, report) as Report);
}

/** Throws a TypeError naming the first field that does not fit. */
export function checkMessage<T extends TSchema>(schema: T, message: unknown): Static<T> {
  if (Value.Check(schema, message)) return message;
  const first = Value.Errors(schema, message).First();
  throw new TypeError(
    `message of the engine: ${first?.path ?? ""}: ${first?.message ?? "unknown"}`,
  );
}

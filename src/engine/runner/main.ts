/**
 * The hidden command `runner`: one loaded model, told what to do over IPC. Ends when the parent
 * does. Imports only what it needs, because its start counts into every cold request.
 */
import { type Stats, statSync } from "node:fs";
import { gpuProblem } from "../../../ffi/gpu-backends.ts";
import { facts, Native, type NativeModel } from "../../../ffi/native.ts";
import { libraryFolder } from "../../../ffi/unpack.ts";
import pin from "../../../vendor/llama.cpp/pin.json" with { type: "json" };
import { AppError, errorMessage, ModelLoadError } from "../../errors.ts";
import { goFirst } from "../../memory-kills.ts";
import { slotsAtOnce } from "../../slots.ts";
import { version } from "../../version.ts";
import type { LoadedModelInfo, LoadSpec } from "../engine.ts";
import { type Command, decodeMessage, encodeMessage, type Report } from "../protocol.ts";
import { CheckRunner } from "./checker.ts";
import { draftKinds } from "./draft.ts";
import { toFailure } from "./failure.ts";
import type { Cut } from "./intake.ts";
import { PrefixCache } from "./prefix-cache.ts";
import { Runner } from "./runner.ts";
import { listOf } from "./text-threads.ts";
import { NativeVocabulary } from "./vocabulary.ts";

type DraftFact = "drafts" | "draftProblem";
type LoadCommand = Extract<Command, { type: "load" }>;

const onOff = { auto: -1, off: 0, on: 1 } as const;

/**
 * Below this file size one thread does a step about as fast as two (measured on 1 and 3 MB), and it
 * does not stall when other programs want the cores: ggml's threads wait for each other spinning.
 */
const singleThreadBytes = 16 * 2 ** 20;

/** Slots that a model begins with: it takes less memory. It gets more when they are wanted. */
const firstSlots = 1;

/** A step that ends so soon after the parent has said something is not interrupted, milliseconds. */
const graceMs = 200;

function loadModel(native: Native, spec: LoadSpec, fileBytes: number): NativeModel {
  const automatic = fileBytes < singleThreadBytes ? 1 : native.physicalCores();
  return native.load(spec.path, {
    numbers: {
      context: spec.contextLength,
      // Cells that moved to a larger context may lie in another order, which changes last bits.
      slots: spec.deterministic ? spec.slots : Math.min(spec.slots, firstSlots),
      early_slots: spec.inPlace ? slotsAtOnce(spec.contextLength, spec.slots) : 0,
      // A step has a row for every slot that there may be.
      batch: Math.max(spec.batchSize, spec.slots),
      threads: spec.threads > 0 ? spec.threads : automatic,
      gpu_layers: spec.gpuLayers,
      flash_attention: onOff[spec.flashAttention],
      ...(spec.mainGpu === undefined ? {} : { main_gpu: spec.mainGpu }),
      ...(spec.mmap === undefined ? {} : { mmap: spec.mmap ? 1 : 0 }),
      vocabulary_only: spec.vocabularyOnly ? 1 : 0,
    },
    cacheType: spec.kvCacheType,
    adapters: spec.adapters,
    projector: spec.projectors[0],
    // What is evaluated one by one, in pieces of one shape, has no use for guesses.
    draft: spec.deterministic || spec.vocabularyOnly ? undefined : spec.draft,
  });
}

/** Slots that a loaded model may have: those of its load, or those whose address space the system granted. */
function slotsOf(model: NativeModel, { inPlace, contextLength, slots }: LoadSpec): number {
  const made = model.fact(facts.madeFor);
  return inPlace && made < slotsAtOnce(contextLength, slots) ? made : slots;
}

function readyReport(
  model: NativeModel,
  vocabulary: NativeVocabulary,
  spec: LoadSpec,
  problem: string | undefined,
): Report {
  const gpus = model.gpus();
  const template = model.template();
  const cells = model.fact(facts.context);
  return {
    type: "ready",
    interruptible: model.fact(facts.interruptible) === 1,
    info: {
      contextLength: Math.min(spec.contextLength, cells),
      trainedContextLength: model.fact(facts.trainedContext),
      slots: spec.slots,
      vocabularySize: model.fact(facts.vocabulary),
      addsBos: model.fact(facts.addsBos) === 1,
      embeddingLength: model.fact(facts.embedding),
      inputs: { images: model.fact(facts.images) === 1, sound: model.fact(facts.sound) === 1 },
      canShift: model.fact(facts.canShift) === 1,
      ...draftFacts(model, spec),
      ...(gpus.length > 0 ? { gpus } : {}),
      ...(model.fact(facts.gpuShares) === 1 ? { gpuSharesMemory: true } : {}),
      ...(problem === undefined ? {} : { gpuProblem: problem }),
      specialTokens: vocabulary.specials.map(({ id, text, added }) => ({
        id,
        text,
        ...(added ? { added } : {}),
      })),
      ...(template === undefined ? {} : { chatTemplate: template }),
      memory: { total: model.fact(facts.memoryTotal), gpu: model.fact(facts.memoryGpu) },
    },
  };
}

function draftFacts(model: NativeModel, spec: LoadSpec): Pick<LoadedModelInfo, DraftFact> {
  const [drafts, problem] = [draftKinds(model, spec), model.draftProblem()];
  return {
    ...(drafts.length > 0 ? { drafts } : {}),
    ...(problem === undefined ? {} : { draftProblem: problem }),
  };
}

/** Everything that saved sequences depend on, as a folder's name. */
function cacheKey(spec: LoadSpec, file: Stats): string {
  const { path, adapters, projectors, kvCacheType, flashAttention, gpuLayers } = spec;
  // Some models turn their positions by other factors in a long context.
  const { contextLength } = spec;
  // Blobs are named by their digest; for other files size and time stand for the contents.
  const parts = { path, size: file.size, time: file.mtimeMs, adapters, projectors };
  const rest = {
    contextLength,
    kvCacheType,
    flashAttention,
    gpuLayers,
    version,
    llama: pin.commit,
  };
  const hash = new Bun.CryptoHasher("sha256").update(JSON.stringify([parts, rest]));
  return hash.digest("hex").slice(0, 32);
}

/** What a child with a vocabulary only tells: it has no context, and weighs next to nothing. */
function vocabularyReport(model: NativeModel): Report {
  return {
    type: "ready",
    interruptible: false,
    info: {
      contextLength: 0,
      trainedContextLength: 0,
      slots: 0,
      vocabularySize: model.fact(facts.vocabulary),
      addsBos: false,
      embeddingLength: 0,
      specialTokens: [],
      inputs: { images: false, sound: false },
      canShift: false,
      memory: { total: 0, gpu: 0 },
    },
  };
}

/** Runs until the parent hangs up; resolves with the exit code. */
export function runRunner(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const ipc = process.send?.bind(process);
  if (ipc === undefined) {
    process.stderr.write("hutch runner is started by hutch itself\n");
    return Promise.resolve(1);
  }
  const send = (report: Report): void => void ipc(encodeMessage(report));
  let runner: Runner | undefined;
  let model: NativeModel | undefined;
  let checker: CheckRunner | undefined;

  const load = (command: LoadCommand): void => {
    let native: Native | undefined;
    try {
      const folder = libraryFolder({ cacheFolder: undefined, ...command.libraries });
      const gpus = command.spec.gpuLayers !== 0 && !command.spec.vocabularyOnly;
      native = new Native(folder, gpus);
      native.dieWithParent(command.parent);
      goFirst();
      native.listenToInterrupts(graceMs);
      const problem = gpus ? gpuProblem(native, folder) : undefined;
      const { size } = statSync(command.spec.path);
      model = loadModel(native, command.spec, size);
      if (command.spec.vocabularyOnly) {
        checker = new CheckRunner(model, send, () => resolve(0));
        send(vocabularyReport(model));
        return;
      }
      const vocabulary = new NativeVocabulary(model);
      const cache = command.prefixCache && {
        ...command.prefixCache,
        key: cacheKey(command.spec, statSync(command.spec.path)),
      };
      const prefixes = cache && new PrefixCache(cache);
      const spec = { ...command.spec, slots: slotsOf(model, command.spec) };
      runner = new Runner(model, vocabulary, spec, size, send, prefixes);
      native.drainLog();
      send(readyReport(model, vocabulary, spec, problem));
    } catch (error) {
      const log = native?.drainLog() ?? "";
      const failure =
        error instanceof AppError
          ? toFailure(error)
          : toFailure(new ModelLoadError(errorMessage(error)));
      send({ type: "failed", error: failure, log: log.slice(-8192) });
    }
  };

  // A terminal's Ctrl-C reaches the whole process group; the parent decides what it means.
  process.on("SIGINT", () => {});
  process.on("disconnect", () => resolve(0));
  process.on("message", (carried: unknown) => {
    const message = decodeMessage(carried) as Command;
    if (message.type === "load") load(message);
    else if (message.type === "check") void checker?.check(message);
    else if (runner !== undefined && model !== undefined) handle(message, runner, model, send);
  });
  return promise;
}

/** Answers with tokens when they are there: those of a long text come later. */
function sendTokens(id: number, cut: Cut, send: (report: Report) => void): void {
  const answer = (tokens: Int32Array) => send({ type: "tokens", id, tokens: listOf(tokens) });
  if (cut instanceof Int32Array) answer(cut);
  else cut.then(answer).catch((error) => send({ type: "error", id, error: toFailure(error) }));
}

function handle(
  message: Exclude<Command, { type: "load" | "check" }>,
  runner: Runner,
  model: NativeModel,
  send: (report: Report) => void,
): void {
  const { id } = message;
  try {
    switch (message.type) {
      case "generate":
        runner.generate(id, message.request);
        break;
      case "embed":
        runner.embed(message);
        break;
      case "cancel":
        runner.cancel(id);
        break;
      case "pause":
      case "resume":
        runner.pause(id, message.type === "pause");
        break;
      case "tokenize": {
        const { text, addSpecial, parseSpecial } = message;
        sendTokens(id, runner.intake.tokenize(text, addSpecial, parseSpecial), send);
        break;
      }
      case "prompt": {
        sendTokens(id, runner.intake.promptTokens(message.prompt, message.addSpecial), send);
        break;
      }
      case "detokenize": {
        const text = model.detokenize(Int32Array.from(message.tokens));
        send({ type: "text", id, text });
        break;
      }
      case "render": {
        const { messages, tools, variables, ending } = message;
        const text = model.render(messages, tools, variables, ending);
        send({ type: "text", id, text });
        break;
      }
    }
  } catch (error) {
    send({ type: "error", id, error: toFailure(error) });
  }
}

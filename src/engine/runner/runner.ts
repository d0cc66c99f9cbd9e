/**
 * The loop of a runner: inbox → admit → plan → step → harvest → flush. All slots share one context;
 * each step evaluates a row for every decoding slot and a chunk of the prompts that are due, then
 * samples all rows in one native call. Between steps the event loop runs, so that cancels and new
 * work are seen; a prompt chunk is bounded by the measured speed for the same reason.
 */
import {
  facts,
  type NativeModel,
  type NativeSampler,
  type SampledRow,
  StepBuffers,
  status,
} from "../../../ffi/native.ts";
import { ContextOverflowError, EngineError } from "../../errors.ts";
import type {
  ConstraintUse,
  GenerateEvent,
  GenerateRequest,
  LoadSpec,
  TextPart,
  TokenLogprob,
} from "../engine.ts";
import type { Command, Report } from "../protocol.ts";
import { ConstraintCache, type HeldConstraint } from "./constraints.ts";
import { CostCurve } from "./cost.ts";
import { EmbedQueue, type EmbedResult } from "./embed.ts";
import { toFailure } from "./failure.ts";
import {
  freeMedia,
  MediaReader,
  type MediaSpan,
  pollMs,
  type RawPart,
  wholeSpans,
} from "./media.ts";
import { MediaSteps } from "./media-steps.ts";
import { planStep, promptChunk, type Share } from "./plan.ts";
import { chooseSlot } from "./prefix.ts";
import type { PrefixCache } from "./prefix-cache.ts";
import { promptParts } from "./prompt-parts.ts";
import { PromptTokenizer, type Vocabulary } from "./prompt-tokens.ts";
import { Active, Slot } from "./slot.ts";
import { SlotConstraint } from "./slot-constraint.ts";
import { ThreadGovernor } from "./threads.ts";

type EmbedCommand = Extract<Command, { type: "embed" }>;
type LogprobsOf = NonNullable<Extract<GenerateEvent, { type: "text" }>["logprobs"]>;

interface Waiting {
  readonly id: number;
  readonly request: GenerateRequest;
  readonly prompt: Int32Array;
  readonly spans: readonly MediaSpan[];
  readonly constraint: HeldConstraint | undefined;
  readonly order: number;
  paused: boolean;
}

/** The numbers from `first` on, below `end`. */
function range(first: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
}

/** A prompt is kept on disk when evaluating it again would take so long. */
const worthSavingSeconds = 0.2;

/** The parent hears of work at least so often. */
const beatMs = 1000;

/** Longest text handed to the tokenizer, in UTF-16 units: beyond it no context is long enough. */
const longestText = 64 * 1024 * 1024;

/** Milliseconds for compiling a constraint, which was compiled in bounded time before (`checker.ts`). */
const compileLimitMs = 20_000;

function refuseEndless(text: string): void {
  if (text.length > longestText) throw new EngineError("the text is too long to tokenise");
}

export class Runner {
  readonly #model: NativeModel;
  readonly #spec: LoadSpec;
  readonly #prompts: PromptTokenizer;
  readonly #special: ReadonlyMap<string, number>;
  readonly #send: (report: Report) => void;
  readonly #slots: Slot[];
  readonly #step: StepBuffers;
  /** Tokens one sequence can hold; libllama rounds the context length up. */
  readonly #cells: number;
  readonly #addsBos: boolean;
  readonly #bos: number;
  readonly #canTrim: boolean;
  readonly #canShift: boolean;
  readonly #constraints: ConstraintCache;
  #waiting: Waiting[] = [];
  readonly #embeds: EmbedQueue;
  /** Sequences that only embeddings use; without any they borrow those of free slots. */
  readonly #spare: readonly number[];
  readonly #media: MediaReader;
  /** Requests whose images are being read. */
  readonly #reading = new Map<number, { paused: boolean }>();
  readonly #mediaSteps = new MediaSteps();
  #poll: Timer | undefined;
  #events: [number, GenerateEvent][] = [];
  #orders = 0;
  #uses = 0;
  #steps = 0;
  /** When the parent last heard of this runner's work. */
  #heard = 0;
  readonly #costs = new CostCurve();
  readonly #governor: ThreadGovernor;
  /** Threads of the last step. */
  #threads: number;
  readonly #prefixes: PrefixCache | undefined;
  /** Slots that this runner may still grow to. */
  #mostSlots: number;
  /** Sequences were copied since the last step: the cells follow with the next one (hutch.h). */
  #copying = false;
  #scheduled = false;
  /** Measured speed of evaluating prompts; the first guess is cautious, by the file's size. */
  #promptSpeed: number;

  constructor(
    model: NativeModel,
    vocabulary: Vocabulary,
    spec: LoadSpec,
    fileBytes: number,
    send: (report: Report) => void,
    /** Evaluated prompts on disk. */
    prefixes?: PrefixCache,
  ) {
    this.#model = model;
    this.#spec = spec;
    this.#prompts = new PromptTokenizer(vocabulary);
    this.#special = new Map(vocabulary.specials.map(({ id, text }) => [text, id]));
    this.#send = send;
    this.#mostSlots = spec.slots;
    this.#threads = model.fact(facts.threads);
    this.#governor = new ThreadGovernor(this.#threads);
    this.#prefixes = prefixes;
    this.#slots = Array.from({ length: model.fact(facts.slots) }, (_, i) => new Slot(i));
    this.#step = new StepBuffers(model.fact(facts.batch));
    this.#cells = model.fact(facts.context);
    this.#bos = model.fact(facts.bos);
    this.#addsBos = model.fact(facts.addsBos) === 1;
    this.#canTrim = model.fact(facts.canTrim) === 1;
    this.#canShift = model.fact(facts.canShift) === 1;
    this.#promptSpeed = 2e10 / Math.max(1, fileBytes);
    this.#media = new MediaReader(model);
    this.#spare = range(this.#slots.length, model.fact(facts.sequences));
    if (this.#spare.length > 0) this.#mostSlots = this.#slots.length;
    this.#embeds = new EmbedQueue(model, this.#step, {
      firstSpeed: this.#promptSpeed,
      deterministic: spec.deterministic === true,
    });
    this.#constraints = new ConstraintCache(model, compileLimitMs);
  }

  generate(id: number, request: GenerateRequest): void {
    this.#guard(id, () => {
      if (this.#model.fact(facts.generates) !== 1) {
        throw new EngineError("the model cannot generate text");
      }
      const parts = promptParts(request.prompt, (texts, first) =>
        this.promptTokens(texts, first && request.addSpecial),
      );
      const order = this.#orders++;
      const [only] = parts;
      const plain = parts.length === 1 && request.constraint === undefined;
      if (plain && only instanceof Int32Array) {
        const nothing = { spans: [], constraint: undefined };
        this.#enqueue({ id, request, prompt: only, order, paused: false, ...nothing });
      } else void this.#prepare(id, request, parts, order);
    });
  }

  /** The compiled constraint of a request. @throws EngineError */
  async #hold(use: ConstraintUse | undefined): Promise<HeldConstraint | undefined> {
    if (use === undefined) return undefined;
    // Written answers have no members that their schema does not name.
    const kind = use.kind === "schema" ? "answer" : use.kind;
    return await this.#constraints.hold({ kind, text: use.text });
  }

  /** Lets a request wait for its slot. @throws ContextOverflowError, EngineError */
  #enqueue(waiting: Waiting): void {
    const { prompt } = waiting;
    if (prompt.length === 0) throw new EngineError("the prompt has no tokens");
    // By the cells, not the plain context length: the engine rounds that up (api.md 4).
    if (prompt.length > this.#cells - 1) {
      const limit = this.#spec.contextLength;
      throw new ContextOverflowError(
        `the prompt has ${prompt.length} tokens, the context holds ${limit}`,
        prompt.length,
        limit,
      );
    }
    this.#waiting.push(waiting);
    this.#waiting.sort((a, b) => a.order - b.order);
    this.#wake();
  }

  /** Reads images, compiles a constraint; the request waits for a slot afterwards. */
  async #prepare(
    id: number,
    request: GenerateRequest,
    parts: readonly RawPart[],
    order: number,
  ): Promise<void> {
    const reading = { paused: false };
    this.#reading.set(id, reading);
    const canceled = () => !this.#reading.has(id);
    try {
      const { tokens: prompt, spans } = await this.#media.read(parts, canceled);
      let constraint: HeldConstraint | undefined;
      const drop = () => {
        freeMedia(spans);
        constraint?.release();
      };
      try {
        if (!canceled()) constraint = await this.#hold(request.constraint);
        if (canceled()) return drop();
        this.#enqueue({ id, request, prompt, spans, constraint, order, ...reading });
      } catch (error) {
        drop();
        throw error;
      }
    } catch (error) {
      if (!canceled()) this.#send({ type: "error", id, error: toFailure(error) });
    } finally {
      this.#reading.delete(id);
    }
  }

  embed(command: EmbedCommand): void {
    this.#embeds.add(command);
    this.#wake();
  }

  cancel(id: number): void {
    this.#reading.delete(id);
    for (const { spans, constraint } of this.#waiting.filter((waiting) => waiting.id === id)) {
      freeMedia(spans);
      constraint?.release();
    }
    this.#waiting = this.#waiting.filter((waiting) => waiting.id !== id);
    this.#embeds.cancel(id);
    const slot = this.#slots.find(({ active }) => active?.id === id);
    if (slot !== undefined) this.#release(slot);
    this.#wake();
  }

  /** Back-pressure: a paused request is not sampled, the others go on. */
  pause(id: number, paused: boolean): void {
    const found =
      this.#slots.find(({ active }) => active?.id === id)?.active ??
      this.#waiting.find((waiting) => waiting.id === id) ??
      this.#reading.get(id);
    if (found !== undefined) found.paused = paused;
    if (!paused) this.#wake();
  }

  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): Int32Array {
    refuseEndless(text);
    return this.#model.tokenize(text, addSpecial, parseSpecial);
  }

  /** Tokens of a prompt; BOS in front when the tokenizer wants one and it is not there. */
  promptTokens(prompt: readonly TextPart[], addSpecial: boolean): Int32Array {
    for (const part of prompt) if ("text" in part) refuseEndless(part.text);
    const parts = this.#prompts.tokens(prompt);
    const only = parts[0];
    const first = parts.find(({ length }) => length > 0)?.[0];
    const bos = addSpecial && this.#addsBos && this.#bos >= 0 && first !== this.#bos;
    if (parts.length === 1 && only instanceof Int32Array && !bos) return only;
    const whole = new Int32Array(parts.reduce((sum, { length }) => sum + length, bos ? 1 : 0));
    let at = 0;
    if (bos) whole[at++] = this.#bos;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  #wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  /** One turn: embeddings that are due, new requests into slots, one step. */
  #turn(): void {
    const embedded = this.#runEmbeds();
    this.#admit();
    const seen = this.#runMedia();
    const worked = this.#runStep();
    this.#flush();
    this.#beat();
    if (worked || embedded || seen === "worked" || this.#saveIdle()) this.#wake();
    else if (seen === "waiting") this.#pollSoon();
  }

  /** Tells the parent that work goes on, when a long prompt leaves nothing else to say. */
  #beat(): void {
    const now = performance.now();
    if (now - this.#heard < beatMs) return;
    this.#heard = now;
    this.#send({ type: "progress" });
  }

  #flush(): void {
    if (this.#events.length === 0) return;
    this.#heard = performance.now();
    this.#send({ type: "events", events: this.#events });
    this.#events = [];
  }

  /** One batch of embeddings. False when there was nothing to do, or no sequence free for it. */
  #runEmbeds(): boolean {
    if (this.#embeds.empty) return false;
    const idle = this.#slots
      .filter(({ active }) => active === undefined)
      .sort((a, b) => a.lastUse - b.lastUse);
    const free = this.#spare.length > 0 ? this.#spare : idle.map(({ sequence }) => sequence);
    if (free.length === 0) return false;
    const decoding = idle.length < this.#slots.length;
    const results = this.#embeds.turn(free, decoding, (sequence) => this.#slots[sequence]?.clear());
    for (const result of results) this.#sendEmbedded(result);
    return true;
  }

  #sendEmbedded(result: EmbedResult): void {
    if ("error" in result) {
      this.#send({ type: "error", id: result.id, error: toFailure(result.error) });
      return;
    }
    const { id, vectors, promptTokens, cutTokens } = result;
    const bytes = new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength);
    this.#send({ type: "vectors", id, bytes, promptTokens, cutTokens });
  }

  #empty(slot: Slot): void {
    this.#model.remove(slot.sequence, -1, -1);
    slot.clear();
  }

  /** Gives waiting requests their slots, oldest first; one that waits for a prefix lets others by. */
  #admit(): void {
    for (const waiting of [...this.#waiting]) {
      if (this.#slots.every(({ active }) => active !== undefined) && !this.#grow()) return;
      const views = this.#slots.map((slot) => ({
        tokens: slot.tokens,
        busy: slot.active !== undefined || this.#embeds.holds(slot.sequence),
        lastUse: slot.lastUse,
        ...(slot.active !== undefined && slot.active.promptLeft > 0
          ? { coming: slot.active.prompt as ArrayLike<number> as readonly number[] }
          : {}),
      }));
      const choice = chooseSlot(views, waiting.prompt, this.#canTrim);
      if (choice.kind === "wait") continue;
      const slot = this.#slots[choice.slot];
      if (slot === undefined) continue;
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      this.#guard(waiting.id, () => {
        if (choice.common < slot.tokens.length) this.#save(slot);
        if (choice.kind === "copy") this.#copy(choice.source, slot);
        const common = Math.max(choice.common, this.#restore(slot, waiting.prompt, choice.common));
        const kept = this.#trim(slot, Math.min(common, waiting.prompt.length - 1));
        const sampler = this.#model.sampler(waiting.request.sampling);
        sampler.accept(waiting.prompt.filter((token) => token >= 0));
        const constraint = this.#constraintOf(waiting, sampler);
        slot.active = new Active(
          waiting.id,
          waiting.request,
          waiting.prompt,
          waiting.spans,
          kept,
          sampler,
          constraint,
          waiting.order,
          this.#idsOf(waiting.request.visible),
        );
        slot.active.paused = waiting.paused;
        slot.active.promptSince = performance.now();
      });
    }
  }

  /** Ids of special tokens; texts of others are visible anyway. */
  #idsOf(texts: readonly string[]): ReadonlySet<number> {
    return new Set(texts.map((text) => this.#special.get(text)).filter((id) => id !== undefined));
  }

  /**
   * More slots when all are busy: a context for few costs little memory and little time to load, and
   * most models never serve many. False when there are as many as allowed, or as memory holds.
   */
  #grow(): boolean {
    if (this.#copying) return false;
    const present = this.#slots.length;
    const wanted = 2 ** Math.ceil(Math.log2(present + this.#waiting.length));
    const next = Math.min(this.#mostSlots, Math.max(wanted, 2 * present));
    if (next <= present) return false;
    if (!this.#model.setSlots(next)) {
      this.#mostSlots = present;
      return false;
    }
    for (let sequence = present; sequence < next; sequence++) this.#slots.push(new Slot(sequence));
    const memory = {
      total: this.#model.fact(facts.memoryTotal),
      gpu: this.#model.fact(facts.memoryGpu),
    };
    this.#send({ type: "resized", memory });
    return true;
  }

  #constraintOf(waiting: Waiting, sampler: NativeSampler): SlotConstraint | undefined {
    const { constraint: use } = waiting.request;
    if (use === undefined || waiting.constraint === undefined) return undefined;
    return new SlotConstraint(this.#model, sampler, use, waiting.constraint);
  }

  #copy(from: number, slot: Slot): void {
    const source = this.#slots[from];
    if (source === undefined) return;
    this.#empty(slot);
    this.#model.copySequence(source.sequence, slot.sequence);
    this.#copying = true;
    slot.tokens = [...source.tokens];
    slot.spans = [...source.spans];
  }

  /** Tokens whose evaluation takes so long that a file is faster. */
  #worthSaving(): number {
    return Math.max(64, Math.ceil(this.#promptSpeed * worthSavingSeconds));
  }

  /** Writes what a slot holds to the prefix cache, when the cache lacks much of it. */
  #save(slot: Slot): void {
    if (this.#prefixes === undefined || !slot.unsaved || this.#copying) return;
    slot.unsaved = false;
    const { tokens, sequence } = slot;
    const least = this.#worthSaving();
    if (slot.spans.length > 0) return; // images are not named by tokens
    if (tokens.length < least || tokens.length - this.#prefixes.covered(tokens) < least) return;
    void this.#prefixes.save(Int32Array.from(tokens), this.#model.saveSequence(sequence));
  }

  /** With nothing else to do, saves one slot. True when there may be more. */
  #saveIdle(): boolean {
    if (this.#prefixes === undefined || this.#slots.some(({ active }) => active !== undefined)) {
      return false;
    }
    const slot = this.#slots.find(({ unsaved }) => unsaved);
    if (slot !== undefined) this.#save(slot);
    return slot !== undefined;
  }

  /** Fills a slot from the prefix cache when that saves much. Returns the tokens in common, 0 = not done. */
  #restore(slot: Slot, prompt: Int32Array, had: number): number {
    if (this.#copying) return 0;
    const found = this.#prefixes?.find(prompt, had + this.#worthSaving(), !this.#canTrim);
    const bytes = found?.bytes();
    if (found === undefined || bytes === undefined) return 0;
    this.#empty(slot);
    if (!this.#model.restoreSequence(slot.sequence, bytes)) return 0;
    slot.tokens = Array.from(found.tokens);
    return found.common;
  }

  /** Keeps the first `count` tokens of a slot when its memory can do that, else none. Returns how many. */
  #trim(slot: Slot, wanted: number): number {
    if (wanted === slot.tokens.length) return wanted;
    const count = wholeSpans(slot.spans, wanted);
    // A sliding window may have lost cells that the tokens to come would look back at.
    const whole = count > 0 && this.#model.firstPosition(slot.sequence) === 0;
    if (whole && this.#canTrim && this.#model.remove(slot.sequence, slot.position(count), -1)) {
      slot.cut(count);
      return count;
    }
    this.#empty(slot);
    return 0;
  }

  /** Evaluates and samples once. False when there was nothing to do. */
  #runStep(): boolean {
    const wants = this.#slots.flatMap(({ active }, slot) =>
      active === undefined || active.paused || active.mediaNext !== undefined
        ? []
        : [
            {
              slot,
              promptLeft: active.textLeft,
              pending: active.pending.length,
              order: active.order,
              served: active.served,
            },
          ],
    );
    if (wants.length === 0) return false;
    const decoding = wants.filter(({ promptLeft }) => promptLeft === 0).length;
    const chunk = promptChunk(this.#promptSpeed, decoding > 0);
    // Beside a prompt chunk a row costs little; alone it must be worth its step.
    const alone = decoding === wants.length;
    const most = alone ? this.#costs.rowsWorth(decoding) : decoding;
    const shares = planStep(wants, this.#step.capacity, chunk, most);
    this.#steps++;
    const { rows, sampled, prompts } = this.#fill(shares);
    if (rows === 0) return true;
    const { threads } = this.#governor;
    if (threads !== this.#threads) this.#model.setThreads(threads);
    this.#threads = threads;
    const since = performance.now();
    const result = this.#model.decode(this.#step, rows);
    if (result !== status.ok) {
      this.#failStep(shares, this.#model.lastError());
      return true;
    }
    this.#copying = false;
    const seconds = (performance.now() - since) / 1000;
    this.#governor.observe(rows, seconds);
    if (alone) this.#costs.observe(rows, seconds);
    if (prompts > 7 && seconds > 0) {
      // Rows of decoding slots make a mixed step look slower than prompts are; that errs on the safe side.
      this.#promptSpeed += 0.5 * (prompts / seconds - this.#promptSpeed);
    }
    if (sampled.length > 0) this.#harvest(sampled);
    return true;
  }

  /** Goes on with images, one piece a turn. */
  #runMedia(): "idle" | "waiting" | "worked" {
    const chunk = promptChunk(this.#promptSpeed, this.#decoding());
    let waiting = false;
    for (const slot of this.#slots) {
      try {
        const seen = this.#mediaSteps.turn(slot, Math.min(chunk, this.#step.capacity));
        if (seen === "waiting") waiting = true;
        if (seen === "idle" || seen === "waiting") continue;
        if (seen.due !== undefined) this.#harvest([seen.due]);
      } catch (error) {
        this.#fail(slot, error);
      }
      return "worked";
    }
    return waiting ? "waiting" : "idle";
  }

  /** Asks again soon whether the projector has finished. */
  #pollSoon(): void {
    this.#poll ??= setTimeout(() => {
      this.#poll = undefined;
      this.#wake();
    }, pollMs);
  }

  /** Whether running answers wait for their next token. */
  #decoding(): boolean {
    return this.#slots.some(({ active }) => active?.promptLeft === 0 && !active.paused);
  }

  /** Writes the step's rows; slots whose context is full are shifted or ended first. */
  #fill(shares: readonly Share[]): {
    rows: number;
    sampled: { row: number; slot: Slot; active: Active }[];
    prompts: number;
  } {
    const { tokens, positions, sequences, wanted } = this.#step;
    const sampled: { row: number; slot: Slot; active: Active }[] = [];
    let rows = 0;
    let prompts = 0;
    for (const { slot: index, count } of shares) {
      const slot = this.#slots[index];
      const active = slot?.active;
      if (slot === undefined || active === undefined) continue;
      active.served = this.#steps;
      const prompt = active.promptLeft > 0;
      if (!prompt && !this.#makeRoom(slot, active)) continue;
      const most = prompt ? count : Math.min(count, this.#cells - slot.tokens.length);
      for (let i = 0; i < most; i++) {
        const token = prompt ? active.prompt[active.evaluated++] : active.pending.shift();
        if (token === undefined) break;
        tokens[rows] = token;
        positions[rows] = slot.position();
        sequences[rows] = slot.sequence;
        wanted[rows] = 0;
        slot.tokens.push(token);
        rows++;
      }
      if (prompt) prompts += count;
      if (active.promptLeft > 0 || active.pending.length > 0) continue;
      wanted[rows - 1] = 1;
      sampled.push({ row: rows - 1, slot, active });
    }
    return { rows, sampled, prompts };
  }

  /** Room for one more token: shifts a full context, or ends the request. True when there is room. */
  #makeRoom(slot: Slot, active: Active): boolean {
    const full = slot.tokens.length + 1 >= this.#cells;
    if (!full) return true;
    const shifts = active.request.shift && this.#canShift && this.#canTrim;
    if (!shifts || slot.spans.length > 0) {
      if (slot.tokens.length < this.#cells) return true; // the last cell is used up first
      this.#finish(slot, active, "length");
      return false;
    }
    const { keep: wish } = active.request;
    const asked = wish < 0 ? active.prompt.length : wish + (this.#addsBos ? 1 : 0);
    const keep = Math.max(0, Math.min(asked, this.#cells - 4));
    const dropped = Math.max(1, (slot.tokens.length - keep) >> 1);
    this.#model.remove(slot.sequence, keep, keep + dropped);
    this.#model.shift(slot.sequence, keep + dropped, slot.tokens.length, -dropped);
    slot.tokens.splice(keep, dropped);
    active.shifted += dropped;
    return true;
  }

  #harvest(all: readonly { row: number; slot: Slot; active: Active }[]): void {
    const due = all.filter(({ slot, active }) => {
      if (active.evalTokens === 0) active.evalSince = performance.now();
      return !this.#forceFirst(slot, active);
    });
    if (due.length === 0) return;
    const rows = this.#model.sample(
      due.map(({ row, active }) => ({ row, sampler: active.sampler })),
    );
    due.forEach(({ row, slot, active }, i) => {
      const sampled = rows[i];
      if (sampled === undefined) return;
      try {
        this.#take(slot, active, row, this.#resampled(active, row, sampled));
      } catch (error) {
        this.#fail(slot, error);
      }
    });
  }

  /** An answer may begin with tokens that its constraint forces. True when it does. */
  #forceFirst(slot: Slot, active: Active): boolean {
    if (active.evalTokens > 0 || active.constraint === undefined) return false;
    try {
      this.#takeForced(slot, active);
    } catch (error) {
      this.#fail(slot, error);
    }
    return slot.active !== active || active.pending.length > 0;
  }

  /** The row again, under the constraint, when a free token may not stand. @throws EngineError */
  #resampled(active: Active, row: number, first: SampledRow): SampledRow {
    const shown = this.#shown(active, first);
    const again = active.constraint?.refuses(shown)
      ? this.#model.sample([{ row, sampler: active.sampler }])[0]
      : shown;
    if (again?.token === -2) throw new EngineError(`constraint: ${active.sampler.failure}`);
    if (again === undefined || again.token < 0) {
      throw new EngineError("the model computed no finite logits");
    }
    return again;
  }

  /** A special token that the request wants to see has bytes. */
  #shown(active: Active, sampled: SampledRow): SampledRow {
    const { token } = sampled;
    return active.visible.has(token)
      ? { ...sampled, bytes: this.#model.piece(token, true) }
      : sampled;
  }

  /** What one sampled token means: text, the end, or more to come. */
  #take(slot: Slot, active: Active, row: number, sampled: SampledRow): void {
    if (sampled.ends) {
      active.evalTokens++;
      this.#finish(slot, active, "stop");
      return;
    }
    const { logprobs } = active.request;
    const taken = { token: sampled.token, bytes: sampled.bytes, last: true };
    const goesOn = this.#takeToken(slot, active, taken, () =>
      logprobs === undefined ? undefined : [this.#logprob(row, sampled.token, logprobs)],
    );
    if (goesOn) this.#takeForced(slot, active);
  }

  /** Adds a token to the answer; `last`: of those that the constraint knows. False when that ended it. */
  #takeToken(
    slot: Slot,
    active: Active,
    { token, bytes, last }: { token: number; bytes: Uint8Array; last: boolean },
    logprobs: () => LogprobsOf | undefined,
  ): boolean {
    active.evalTokens++;
    active.constraint?.note(token, bytes);
    const piece = active.assembler.push(bytes);
    if (active.request.wantContext) active.output += piece.text;
    const wanted = piece.stopped && piece.text === "" ? undefined : logprobs();
    if (piece.text !== "" || wanted !== undefined) {
      const more = wanted === undefined ? {} : { logprobs: wanted };
      this.#events.push([active.id, { type: "text", text: piece.text, ...more }]);
    }
    const over = last && active.constraint?.settle();
    if (piece.stopped || over) this.#finish(slot, active, "stop");
    else if (active.evalTokens >= active.request.maxTokens) this.#finish(slot, active, "length");
    else active.pending.push(token);
    return slot.active === active;
  }

  /** Adds what the constraint forces, without sampling; not where probabilities are asked for. */
  #takeForced(slot: Slot, active: Active): void {
    if (active.constraint === undefined || active.request.logprobs !== undefined) return;
    const left = active.request.maxTokens - active.evalTokens;
    const forced = active.constraint.forced(left);
    for (const [i, token] of forced.entries()) {
      const taken = {
        token,
        bytes: this.#model.piece(token, false),
        last: i === forced.length - 1,
      };
      if (!this.#takeToken(slot, active, taken, () => undefined)) return;
    }
  }

  #logprob(row: number, token: number, top: number): TokenLogprob & { top: TokenLogprob[] } {
    const [own, ...likeliest] = this.#model
      .logprobs(row, token, top)
      .map(({ token: id, logprob }) => {
        const bytes = this.#model.piece(id, false);
        return { token: new TextDecoder().decode(bytes), logprob, bytes: Array.from(bytes) };
      });
    if (own === undefined) throw new EngineError("no log probability of the sampled token");
    return { ...own, top: likeliest };
  }

  #finish(slot: Slot, active: Active, reason: "stop" | "length"): void {
    // An answer cut by its length may be in the middle of a stop text: that part is not shown.
    const rest = reason === "stop" ? active.assembler.end() : "";
    if (rest !== "") {
      this.#events.push([active.id, { type: "text", text: rest }]);
      active.output += rest;
    }
    const context = active.request.wantContext ? this.#context(active) : undefined;
    this.#events.push([active.id, active.done(reason, context)]);
    this.#release(slot);
  }

  /** Tokens of prompt text plus answer, without BOS (api.md 5). */
  #context(active: Active): number[] {
    const texts = active.request.prompt.flatMap((part) => {
      if ("media" in part) return [];
      if ("text" in part) return [part];
      const own = part.texts ?? [this.#model.detokenize(Int32Array.from(part.tokens))];
      return own.map((text) => ({ text, parseSpecial: true }));
    });
    const last = texts.at(-1);
    const answer = { text: active.output, parseSpecial: true };
    const whole = last?.parseSpecial
      ? [...texts.slice(0, -1), { ...answer, text: last.text + active.output }]
      : [...texts, answer];
    return Array.from(this.promptTokens(whole, false));
  }

  #release(slot: Slot): void {
    const { active } = slot;
    slot.active = undefined;
    if (active !== undefined) {
      this.#mediaSteps.leave(active);
      active.free();
      // Of a media that was read in part nothing is of use.
      const { evaluated, mediaRows } = active;
      if (mediaRows > 0 && slot.tokens.length > evaluated) this.#trim(slot, evaluated);
    }
    slot.lastUse = ++this.#uses;
    slot.unsaved = true;
  }

  /** Ends a slot's request with an error; what its sequence holds is no longer known. */
  #fail(slot: Slot, error: unknown): void {
    const id = slot.active?.id;
    this.#empty(slot);
    this.#release(slot);
    if (id !== undefined) this.#send({ type: "error", id, error: toFailure(error) });
  }

  #failStep(shares: readonly Share[], text: string): void {
    for (const { slot: index } of shares) {
      const slot = this.#slots[index];
      if (slot?.active !== undefined) this.#fail(slot, new EngineError(text));
    }
  }

  /** Runs something for a request; its error is that request's answer. */
  #guard(id: number, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#send({ type: "error", id, error: toFailure(error) });
    }
  }
}

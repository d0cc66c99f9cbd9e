/**
 * The loop of a runner: inbox → admit → plan → step → harvest → flush. All slots share one context; a step
 * evaluates a row for every decoding slot or a chunk of the prompts that are due, then samples all rows in one
 * native call. Between steps, which are bounded, the event loop runs: cancels and new work are seen.
 */
import { facts, type NativeModel, StepBuffers, status } from "../../../ffi/native.ts";
import { EngineError } from "../../errors.ts";
import type { GenerateRequest, LoadSpec } from "../engine.ts";
import type { Command, Report } from "../protocol.ts";
import { Answers } from "./answers.ts";
import { CostCurve } from "./cost.ts";
import { Drafts, draftKinds } from "./draft.ts";
import { EmbedQueue, embedReport } from "./embed.ts";
import { toFailure } from "./failure.ts";
import { dropWaiting, Intake, type Waiting } from "./intake.ts";
import { pollMs } from "./media.ts";
import { MediaSteps } from "./media-steps.ts";
import {
  fixedChunk,
  longestSeconds,
  type PromptPiece,
  planAlone,
  planStep,
  promptChunk,
  promptSeconds,
  promptsOf,
  type Share,
  type Want,
  worthInterrupting,
} from "./plan.ts";
import type { PrefixCache } from "./prefix-cache.ts";
import { PromptCosts } from "./prompt-costs.ts";
import type { Vocabulary } from "./prompt-tokens.ts";
import { StepRows } from "./rows.ts";
import { Sequences } from "./sequences.ts";
import { Active, type Slot } from "./slot.ts";
import { SlotConstraint } from "./slot-constraint.ts";
import { ThreadGovernor } from "./threads.ts";

/** The parent hears of work at least so often. */
const beatMs = 1000;

export class Runner {
  readonly #model: NativeModel;
  readonly #special: ReadonlyMap<string, number>;
  readonly #send: (report: Report) => void;
  /** Requests before they have slots, and the tokenizer. */
  readonly intake: Intake;
  readonly #sequences: Sequences;
  readonly #answers: Answers;
  readonly #step: StepBuffers;
  /** No result depends on what else is evaluated: every step is one request's, in fixed chunks. */
  readonly #deterministic: boolean;
  readonly #rows: StepRows;
  readonly #drafts: Drafts;
  #waiting: Waiting[] = [];
  readonly #embeds: EmbedQueue;
  /** Sequences that only embeddings use; without any they borrow those of free slots. */
  readonly #spare: readonly number[];
  readonly #mediaSteps = new MediaSteps();
  #poll: Timer | undefined;
  #steps = 0;
  /** When the parent last heard of this runner's work. */
  #heard = 0;
  readonly #costs = new CostCurve();
  readonly #governor: ThreadGovernor;
  /** Threads of the last step. */
  #threads: number;
  #scheduled = false;
  readonly #promptCosts: PromptCosts;
  /** The last step evaluated prompts. */
  #prompted = false;
  /** Steps of prompts end early when the parent has something to say. */
  readonly #interruptible: boolean;
  /** The last step did. */
  #interrupted = false;

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
    this.#special = new Map(vocabulary.specials.map(({ id, text }) => [text, id]));
    this.#send = send;
    this.#threads = model.fact(facts.threads);
    this.#governor = new ThreadGovernor(this.#threads);
    this.#deterministic = spec.deterministic === true;
    this.#step = new StepBuffers(model.fact(facts.batch));
    this.#interruptible = model.fact(facts.interruptible) === 1;
    // The first guess is cautious, by the file's size.
    this.#promptCosts = new PromptCosts(2e10 / Math.max(1, fileBytes));
    const [slots, sequences] = [model.fact(facts.slots), model.fact(facts.sequences)];
    this.#spare = Array.from({ length: Math.max(0, sequences - slots) }, (_, i) => slots + i);
    this.#sequences = new Sequences(model, {
      most: this.#spare.length > 0 ? 0 : spec.slots,
      deterministic: this.#deterministic,
      // How saved prompts were evaluated is not known.
      prefixes: this.#deterministic ? undefined : prefixes,
      promptSpeed: () => this.#promptCosts.speed,
      borrowed: (sequence) => this.#embeds.holds(sequence),
      onGrown: (memory) => send({ type: "resized", memory }),
    });
    const failed = (id: number, error: unknown) =>
      send({ type: "error", id, error: toFailure(error) });
    const ready = (waiting: Waiting) => this.#enqueue(waiting);
    this.intake = new Intake(model, vocabulary, spec, { ready, failed });
    this.#answers = new Answers(model, {
      promptTokens: (prompt, addSpecial) => this.intake.promptTokens(prompt, addSpecial),
      release: (slot) => this.#release(slot),
      forget: (slot, count) => this.#sequences.forget(slot, count),
      fail: (slot, error) => this.#fail(slot, error),
      said: () => this.#wake(),
      failed,
    });
    const cells = model.fact(facts.context);
    this.#drafts = new Drafts({
      kinds: draftKinds(model, spec),
      capacity: this.#step.capacity,
      cells,
      fail: (slot, error) => this.#fail(slot, error),
    });
    this.#rows = new StepRows({
      step: this.#step,
      sequences: this.#sequences,
      answers: this.#answers,
      cells,
      addsBos: model.fact(facts.addsBos) === 1,
      canShift: model.fact(facts.canShift) === 1,
    });
    this.#embeds = new EmbedQueue(model, this.#step, {
      firstSpeed: this.#promptCosts.speed,
      deterministic: this.#deterministic,
      ready: () => this.#wake(),
    });
  }

  get #slots(): readonly Slot[] {
    return this.#sequences.slots;
  }

  generate(id: number, request: GenerateRequest): void {
    this.intake.take(id, request);
  }

  #enqueue(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#waiting.sort((a, b) => a.order - b.order);
    this.#wake();
  }

  embed(command: Extract<Command, { type: "embed" }>): void {
    this.#embeds.add(command);
    this.#wake();
  }

  cancel(id: number): void {
    this.intake.cancel(id);
    for (const waiting of this.#waiting.filter((other) => other.id === id)) dropWaiting(waiting);
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
      this.#waiting.find((waiting) => waiting.id === id);
    if (found !== undefined) found.paused = paused;
    else this.intake.pause(id, paused);
    if (!paused) this.#wake();
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
    if (worked || embedded || seen === "worked") this.#wake();
    else if (seen === "waiting") this.#pollSoon();
    else this.#sequences.saveSoon();
  }

  /** Tells the parent that work goes on, when a long prompt leaves nothing else to say. */
  #beat(): void {
    const now = performance.now();
    if (now - this.#heard < beatMs) return;
    this.#heard = now;
    this.#send({ type: "progress" });
  }

  #flush(): void {
    const events = this.#answers.flush();
    if (events.length === 0) return;
    this.#heard = performance.now();
    this.#send({ type: "events", events });
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
    for (const result of results) this.#send(embedReport(result));
    return true;
  }

  /** Gives waiting requests their slots, oldest first; one that waits for a prefix lets others by. */
  #admit(): void {
    for (const waiting of [...this.#waiting]) {
      if (this.#sequences.full && !this.#sequences.grow(this.#waiting.length)) return;
      try {
        const place = this.#sequences.place(waiting.prompt);
        if (place === undefined) continue;
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        place.slot.active = this.#begin(waiting, place.kept);
      } catch (error) {
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
        dropWaiting(waiting);
        this.#send({ type: "error", id: waiting.id, error: toFailure(error) });
      }
    }
  }

  /** @throws EngineError when its constraint was refused */
  #begin(waiting: Waiting, kept: number): Active {
    const { id, request, prompt, spans, order, constraint: held } = waiting;
    const { constraint: use, visible } = request;
    const sampler = this.#model.sampler(request.sampling);
    try {
      sampler.accept(spans.length === 0 ? prompt : prompt.filter((token) => token >= 0));
      const constraint =
        use === undefined || held === undefined
          ? undefined
          : new SlotConstraint(this.#model, sampler, use, held);
      const ids = this.#idsOf(visible);
      const active = new Active(id, request, prompt, spans, kept, sampler, constraint, order, ids);
      active.drafter = this.#drafts.drafterFor(this.#model, request, spans.length === 0);
      active.paused = waiting.paused;
      active.promptSince = performance.now();
      return active;
    } catch (error) {
      sampler.free();
      throw error;
    }
  }

  /** Ids of special tokens; texts of others are visible anyway. */
  #idsOf(texts: readonly string[]): ReadonlySet<number> {
    return new Set(texts.map((text) => this.#special.get(text)).filter((id) => id !== undefined));
  }

  /** Evaluates and samples once. False when there was nothing to do. */
  #runStep(): boolean {
    this.#drafts.guess(this.#slots);
    const planned = performance.now();
    const wants = this.#slots.flatMap(({ active }, slot) => active?.wants(slot, planned) ?? []);
    if (wants.length === 0) return false;
    const shares = this.#plan(wants);
    const pieces = promptsOf(wants, shares);
    this.#steps++;
    const { rows, back, sampled, undo } = this.#rows.fill(shares, this.#steps);
    if (rows === 0) return true;
    const threads = this.#deterministic ? this.#threads : this.#governor.threads;
    if (threads !== this.#threads) this.#model.setThreads(threads);
    this.#threads = threads;
    const since = performance.now();
    const result = this.#model.decode(this.#step, rows, this.#mayInterrupt(pieces));
    this.#interrupted = result === status.interrupted;
    if (result !== status.ok && !this.#interrupted) {
      this.#failStep(shares, this.#model.lastError());
      return true;
    }
    this.#sequences.stepped();
    if (this.#interrupted) {
      undo();
      return true;
    }
    const seconds = (performance.now() - since) / 1000;
    if (sampled.length > 0) this.#answers.harvest(sampled);
    // Somebody waits for that: what there is to learn from the step comes afterwards.
    this.#flush();
    this.#governor.observe(rows, back, seconds);
    this.#prompted = pieces.length > 0;
    // Guesses are rows of one sequence, which cost less than as many sequences.
    const guessed = sampled.some(({ guesses }) => guesses !== undefined);
    if (this.#prompted) this.#promptCosts.observe(pieces, seconds);
    else if (!guessed) this.#costs.observe(rows, seconds);
    const lone = !this.#prompted && wants.length === 1;
    for (const { active } of sampled) active.drafter?.stepped(lone ? seconds : undefined);
    return true;
  }

  /** What the next step evaluates. */
  #plan(wants: readonly Want[]): Share[] {
    const { capacity } = this.#step;
    if (this.#deterministic) return planAlone(wants, capacity);
    const decoding = wants.filter(({ promptLeft }) => promptLeft === 0).length;
    return planStep(wants, {
      batchSize: capacity,
      rows: this.#costs.rowsWorth(decoding),
      decodeNext: this.#prompted,
      seconds: promptSeconds(decoding > 0 ? this.#costs.latest : 0),
      longest: longestSeconds(this.#interruptible && !this.#interrupted),
      costs: this.#promptCosts,
    });
  }

  /** Whether a step may end early; not twice in a row, so that there is progress. */
  #mayInterrupt(pieces: readonly PromptPiece[]): boolean {
    if (!this.#interruptible || this.#interrupted) return false;
    return worthInterrupting(pieces, this.#promptCosts);
  }

  /** Goes on with images, one piece a turn. */
  #runMedia(): "idle" | "waiting" | "worked" {
    const chunk = this.#deterministic
      ? fixedChunk
      : promptChunk(this.#promptCosts.speed, this.#decoding());
    let waiting = false;
    for (const slot of this.#slots) {
      try {
        const seen = this.#mediaSteps.turn(slot, Math.min(chunk, this.#step.capacity));
        if (seen === "waiting") waiting = true;
        if (seen === "idle" || seen === "waiting") continue;
        if (seen.due !== undefined) this.#answers.harvest([seen.due]);
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

  #release(slot: Slot): void {
    const { active } = slot;
    slot.active = undefined;
    if (active !== undefined) {
      this.#mediaSteps.leave(active);
      this.#drafts.leave(active);
      active.free();
      // Of a media that was read in part nothing is of use.
      const { evaluated, mediaRows } = active;
      if (mediaRows > 0 && slot.tokens.length > evaluated) this.#sequences.trim(slot, evaluated);
    }
    this.#sequences.left(slot);
  }

  /** Ends a slot's request with an error; what its sequence holds is no longer known. */
  #fail(slot: Slot, error: unknown): void {
    const id = slot.active?.id;
    this.#sequences.empty(slot);
    this.#release(slot);
    if (id !== undefined) this.#send({ type: "error", id, error: toFailure(error) });
  }

  #failStep(shares: readonly Share[], text: string): void {
    for (const { slot: index } of shares) {
      const slot = this.#slots[index];
      if (slot?.active !== undefined) this.#fail(slot, new EngineError(text));
    }
  }
}

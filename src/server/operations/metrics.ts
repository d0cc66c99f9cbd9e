/** What hutch counts and measures about its work; `docs/operations.md` says what each figure means. */

import type { GenerateEvent } from "../../engine/engine.ts";
import type { PoolEvents, UnloadReason } from "../../scheduler/pool.ts";
import type { RunningModel } from "../../scheduler/scheduler.ts";
import { Counter, Gauge, Histogram, metricsPage } from "./registry.ts";

const secondsOfRequests = [0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const secondsToFirst = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const secondsBetween = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/** What a finished generation is counted by; times in seconds. */
export interface Generation {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  /** Guesses at tokens to come, and those that came true. */
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
}

export interface Metrics {
  /** `route` is the path's pattern, never a client's own text. */
  request(route: string, status: number, seconds: number): void;
  firstToken(model: string, seconds: number): void;
  /** Time between two pieces of a stream. */
  nextToken(model: string, seconds: number): void;
  generation(model: string, generation: Generation): void;
  load(model: string, seconds: number): void;
  unload(model: string, reason: UnloadReason): void;
  page(): string;
}

/** What is counted from the start of the server. */
function createSeries() {
  return {
    requests: new Counter("hutch_requests_total", "Requests answered, by route and status."),
    duration: new Histogram(
      "hutch_request_seconds",
      "Time from a request until its answer was whole.",
      secondsOfRequests,
    ),
    generations: new Counter("hutch_generations_total", "Answers that models finished."),
    prompt: new Counter("hutch_prompt_tokens_total", "Tokens of prompts, cached ones included."),
    cached: new Counter("hutch_prompt_cached_tokens_total", "Prompt tokens taken from cache."),
    generated: new Counter("hutch_generated_tokens_total", "Tokens that models wrote."),
    drafted: new Counter("hutch_drafted_tokens_total", "Tokens that were guessed ahead."),
    accepted: new Counter(
      "hutch_draft_accepted_tokens_total",
      "Guessed tokens that came true: each saved a step.",
    ),
    first: new Histogram(
      "hutch_time_to_first_token_seconds",
      "Time from a request with a loaded model until its first piece of text.",
      secondsToFirst,
    ),
    between: new Histogram(
      "hutch_inter_token_seconds",
      "Time between two pieces of a stream.",
      secondsBetween,
    ),
    loads: new Histogram("hutch_model_load_seconds", "Time to load a model.", secondsToFirst),
    unloads: new Counter("hutch_model_unloads_total", "Models unloaded, by reason."),
  };
}

/** What is looked up when it is asked for. */
function createGauges(running: () => readonly RunningModel[]): Gauge[] {
  // A name is loaded twice while it was made anew and its old file still answers: no series comes twice.
  const gauge = (name: string, help: string, value: (row: RunningModel) => number | undefined) =>
    new Gauge(name, help, () => {
      const sums = new Map<string, number>();
      for (const row of running()) {
        const own = value(row);
        if (own !== undefined) sums.set(row.name, (sums.get(row.name) ?? 0) + own);
      }
      return Array.from(sums, ([model, sum]) => ({ labels: { model }, value: sum }));
    });
  return [
    gauge(
      "hutch_model_slots",
      "Requests that a model serves side by side at most.",
      (row) => row.slots,
    ),
    gauge("hutch_model_slots_busy", "Requests that a model serves now.", (row) => row.busy),
    gauge(
      "hutch_model_queue",
      "Requests that wait for their turn on a loaded model.",
      (row) => row.queued,
    ),
    gauge(
      "hutch_model_memory_bytes",
      "Bytes of a model's weights, cache and buffers.",
      (row) => row.size,
    ),
    gauge(
      "hutch_model_resident_bytes",
      "Resident memory of a model's process, pages of its file included.",
      (row) => row.resident,
    ),
    new Gauge("hutch_resident_memory_bytes", "Resident memory of the server's process.", () => [
      { labels: {}, value: process.memoryUsage.rss() },
    ]),
  ];
}

/** @param running the models that are loaded at the moment of asking */
export function createMetrics(running: () => readonly RunningModel[]): Metrics {
  const series = createSeries();
  const gauges = createGauges(running);
  return {
    request(route, status, seconds) {
      series.requests.add({ route, status: String(status) });
      series.duration.observe({ route }, seconds);
    },
    firstToken: (model, seconds) => series.first.observe({ model }, seconds),
    nextToken: (model, seconds) => series.between.observe({ model }, seconds),
    generation(model, tokens) {
      series.generations.add({ model });
      series.prompt.add({ model }, tokens.promptTokens);
      series.cached.add({ model }, tokens.cachedTokens);
      series.generated.add({ model }, tokens.generatedTokens);
      if (tokens.draftedTokens === 0) return;
      series.drafted.add({ model }, tokens.draftedTokens);
      series.accepted.add({ model }, tokens.acceptedTokens);
    },
    load: (model, seconds) => series.loads.observe({ model }, seconds),
    unload: (model, reason) => series.unloads.add({ model, reason }),
    page: () => metricsPage([...Object.values(series), ...gauges]),
  };
}

/** Counts what happens to models. */
export function poolEvents(metrics: Metrics): PoolEvents {
  return {
    loaded: (name, seconds) => metrics.load(name, seconds),
    unloaded: (name, reason) => metrics.unload(name, reason),
  };
}

/** Looks at the events of one generation, from the moment it is made, and counts them. */
export function generationMeter(metrics: Metrics, model: string): (event: GenerateEvent) => void {
  let last = performance.now();
  let begun = false;
  return (event) => {
    if (event.type === "done") {
      metrics.generation(model, {
        promptTokens: event.promptTokens,
        cachedTokens: event.cachedTokens,
        generatedTokens: event.evalTokens,
        draftedTokens: event.drafted?.tokens ?? 0,
        acceptedTokens: event.drafted?.accepted ?? 0,
      });
      return;
    }
    const now = performance.now();
    const seconds = (now - last) / 1000;
    if (begun) metrics.nextToken(model, seconds);
    else metrics.firstToken(model, seconds);
    begun = true;
    last = now;
  };
}

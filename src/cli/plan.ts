/** `hutch plan MODEL`: what a model would take in memory, told before it is loaded. Asks no server. */
import { guideAsset } from "../../ffi/assets.ts";
import { machineMemory } from "../config/machine.ts";
import { UsageError } from "../errors.ts";
import { installGuide, isGuide } from "../model/guide.ts";
import { humanBytesBinary } from "../model/human.ts";
import { loadStoredModel } from "../model/model.ts";
import { resolveOptions } from "../model/options.ts";
import { type MemoryLimit, roomFor, slotsAlone } from "../scheduler/memory.ts";
import { wantedLoad } from "../server/inference/load-spec.ts";
import { flagText, type ParsedArguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { localStore, nameArgument } from "./local-store.ts";
import { readOptions } from "./run-flags.ts";

/** The plan as `--format json` prints it; sizes are bytes. */
interface Plan {
  readonly model: string;
  readonly context_length: number;
  readonly slots: number;
  readonly kv_cache_type: string;
  readonly lines: readonly { readonly what: string; readonly bytes: number }[];
  /** With all slots in use, and the most for a moment while slots are added. */
  readonly held: number;
  readonly peak: number;
  /** What may be taken: the promise of HUTCH_MEMORY, or what the machine has free now. */
  readonly available: number;
  readonly limited_by: "HUTCH_MEMORY" | "machine";
  readonly fits: boolean;
}

async function planOf(context: Context, parsed: ParsedArguments): Promise<Plan> {
  const { config } = context;
  const [text = ""] = parsed.positionals;
  const store = localStore(context);
  const guide = guideAsset();
  const name = nameArgument(text);
  if (guide !== undefined && isGuide(name)) await installGuide(store, guide);
  const model = loadStoredModel(store, name, text);
  const resolved = resolveOptions(model.parameters, readOptions(parsed));
  const { spec, need, explicit } = wantedLoad(model, resolved, config);
  const promised = config.memoryBytes > 0;
  const limit: MemoryLimit = promised
    ? { kind: "promised", bytes: config.memoryBytes }
    : { kind: "machine", ...machineMemory() };
  const withSlots = (slots: number) => need({ ...spec, slots });
  const slots = slotsAlone(limit, withSlots, spec.slots, explicit.has("slots"));
  const { lines, held, peak } = withSlots(slots);
  const available = roomFor(limit, []);
  return {
    model: model.shortName,
    context_length: spec.contextLength,
    slots,
    kv_cache_type: spec.kvCacheType,
    lines,
    held,
    peak,
    available,
    limited_by: promised ? "HUTCH_MEMORY" : "machine",
    fits: peak <= available,
  };
}

/** Notes on lines whose name says too little. */
function noteOn(what: string, { slots, context_length, kv_cache_type }: Plan): string {
  if (what === "growth") return "  only for a moment, while slots are added";
  if (what !== "kv cache") return "";
  return `  ${slots} x ${context_length} tokens, ${kv_cache_type}`;
}

function planText(plan: Plan): string {
  const label = (text: string) => text.padEnd(12);
  const size = (bytes: number) => humanBytesBinary(bytes).padStart(10);
  const rows = plan.lines.map(
    ({ what, bytes }) => `${label(what)}${size(bytes)}${noteOn(what, plan)}`,
  );
  const source = plan.limited_by === "machine" ? "free on this machine" : "HUTCH_MEMORY";
  return [
    `${plan.model}: ${plan.fits ? "fits" : "does not fit"}`,
    ...rows,
    `${label("together")}${size(plan.peak)}`,
    `${label("available")}${size(plan.available)}  ${source}`,
    "",
  ].join("\n");
}

/** @returns `loadFailed` when the model does not fit */
export async function plan(context: Context, parsed: ParsedArguments): Promise<number> {
  const format = flagText(parsed, "format") ?? "text";
  if (format !== "text" && format !== "json") {
    throw new UsageError(`--format: "${format}" is neither text nor json`);
  }
  const found = await planOf(context, parsed);
  context.out(format === "json" ? `${JSON.stringify(found)}\n` : planText(found));
  return found.fits ? exitCodes.ok : exitCodes.loadFailed;
}

/** What is checked of a request before a model is loaded for it (api.md 2.3, 7). */
import { CapabilityError, InvalidRequestError } from "../../errors.ts";
import { capabilitiesOf } from "../../model/capabilities.ts";
import { goQuote } from "../../model/gojson.ts";
import type { StoredModel } from "../../model/model.ts";
import { fullName } from "../../model/name.ts";
import { parseThink, type Think } from "../../model/think.ts";
import { parseKeepAlive } from "../../scheduler/keep-alive.ts";
import type { Lease } from "../../scheduler/scheduler.ts";
import type { ServerDeps } from "../deps.ts";

/** Fields with a reader of their own; what is wrong with them is a fault of the body (api.md 1.2). */
export interface Fields {
  /** Nanoseconds; undefined = the last value stays. */
  readonly keepAlive: bigint | undefined;
  readonly think: Think | undefined;
}

/** @throws InvalidRequestError */
export function readFields(body: {
  readonly keep_alive?: unknown;
  readonly think?: unknown;
}): Fields {
  const think = parseThink(body.think);
  const named = typeof body.think === "string";
  return {
    keepAlive: parseKeepAlive(body.keep_alive),
    think: think === undefined ? undefined : { ...think, named },
  };
}

/** @throws InvalidRequestError */
export function checkTopLogprobs(top: number | undefined): void {
  if (top !== undefined && (top < 0 || top > 20)) {
    throw new InvalidRequestError("top_logprobs must be between 0 and 20");
  }
}

export interface Wishes {
  readonly chat: boolean;
  /** As the request spelled the model. */
  readonly raw: string;
  readonly tools: boolean;
  readonly suffix: boolean;
  readonly think: Think | undefined;
}

/**
 * Capabilities against what a request wants, and its thinking (api.md 2.3, 7.1).
 * @throws CapabilityError, InvalidRequestError
 */
export function checkCapabilities(
  deps: ServerDeps,
  model: StoredModel,
  wishes: Wishes,
): Think | undefined {
  const can = capabilitiesOf(model, deps.config.goTemplate);
  const quoted = () => goQuote(wishes.raw);
  const asked = wishes.think;
  if (can.includes("image")) {
    throw new CapabilityError("image generation models are not currently supported");
  }
  if (asked?.on && !can.includes("thinking")) {
    throw new CapabilityError(`${quoted()} does not support thinking`);
  }
  if (!can.includes("completion")) {
    throw new CapabilityError(`${quoted()} does not support ${wishes.chat ? "chat" : "generate"}`);
  }
  const missing: string[] = [];
  if (wishes.tools && !can.includes("tools")) missing.push("tools");
  if (wishes.suffix && !can.includes("insert")) missing.push("insert");
  if (missing.length > 0) {
    const full = fullName(model.name);
    throw new CapabilityError(missing.map((what) => `${full} does not support ${what}`).join("\n"));
  }
  // Thinking is on by default for models that can; of a fake nobody expects what was not asked for.
  const byDefault = can.includes("thinking") && deps.fake === undefined;
  return asked ?? (byDefault ? { on: true, level: "medium" } : undefined);
}

/** @throws InvalidRequestError when a request has images and the model takes none (api.md 2.3) */
export function checkImages(lease: Lease, model: StoredModel, count: number): void {
  const { images, sound } = lease.model.info.inputs;
  if (count === 0 || images || sound) return;
  const facts = model.gguf?.facts;
  throw new InvalidRequestError(
    facts?.vision || facts?.audio
      ? "this model is missing data required for image input"
      : "Multimodal data provided, but model does not support multimodal requests.",
  );
}

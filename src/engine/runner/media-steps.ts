/**
 * The evaluation of images and sound that prompts have come to: first the projector, in its thread and
 * for one request at a time, then its rows through the model, a piece a turn.
 */
import { status } from "../../../ffi/native.ts";
import { EngineError } from "../../errors.ts";
import type { MediaSpan } from "./media.ts";
import type { Active, Slot } from "./slot.ts";

/** What a turn did for a slot. `due`: the row whose logits are to be sampled now. */
export type MediaTurn =
  | "idle"
  | "waiting"
  | { readonly due: { row: number; slot: Slot; active: Active } | undefined };

export class MediaSteps {
  /** Who has the projector. */
  #projecting: Active | undefined;

  /**
   * @param most rows that the model may read in this turn
   * @throws EngineError when projector or model failed
   */
  turn(slot: Slot, most: number): MediaTurn {
    const { active } = slot;
    const span = active?.mediaNext;
    if (active === undefined || span === undefined || active.paused) return "idle";
    return this.#projected(active, span) ? readRows(slot, active, span, most) : "waiting";
  }

  /** A request ends: the next one may have the projector. */
  leave(active: Active): void {
    if (this.#projecting === active) this.#projecting = undefined;
  }

  /** Whether the rows of a media are there; starts the projector when it is free. */
  #projected(active: Active, span: MediaSpan): boolean {
    if (!active.mediaEncoding) {
      if (this.#projecting !== undefined) return false;
      this.#projecting = active;
      active.mediaEncoding = true;
      span.media.encode(span.chunk);
    }
    if (!span.media.ready()) return false;
    this.leave(active);
    return true;
  }
}

function readRows(slot: Slot, active: Active, span: MediaSpan, most: number): MediaTurn {
  const { start, rows, media } = span;
  const from = active.mediaRows;
  const count = span.atOnce ? rows : Math.min(rows - from, most);
  const whole = from + count === rows;
  const last = whole && start + rows === active.prompt.length;
  if (from === 0) slot.spans.push(span);
  const result = media.decode(from, count, slot.sequence, slot.position(start), last);
  if (result !== status.ok) throw new EngineError(media.lastError());
  for (const row of active.prompt.subarray(start + from, start + from + count)) {
    slot.tokens.push(row);
  }
  active.mediaRows = whole ? 0 : from + count;
  if (whole) {
    active.evaluated += rows;
    active.mediaEncoding = false;
  }
  return { due: last ? { row: count - 1, slot, active } : undefined };
}

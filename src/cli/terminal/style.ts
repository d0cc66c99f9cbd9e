/** The few styles of the command line. NO_COLOR leaves brightness, which is no colour. */
import type { Context } from "../context.ts";

/** Begins grey text: thinking, hints. */
export function hint(context: Context): string {
  return context.config.noColor ? "\x1b[2m" : "\x1b[38;5;245m";
}

/** Ends every style. */
export const plain = "\x1b[0m";

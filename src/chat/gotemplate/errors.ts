/** Errors of templates, in Go's words. */

/** A template that does not parse, or fails while it runs. `line` counts from 1. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
  constructor(
    message: string,
    readonly kind: "parse" | "exec",
    readonly line: number,
  ) {
    super(message);
  }
}

/** A function refused its arguments; the executor adds where. */
export class CallError extends Error {
  /** `whole`: the text already is the whole reason, without "error calling …". */
  constructor(
    message: string,
    readonly whole = false,
  ) {
    super(message);
  }
}

/** The model `guide` that every hutch carries, in the source tree and in the executable alike. */
import { readFileSync } from "node:fs";
import { embedded } from "./embedded.ts";

export interface GuideAsset {
  /** Readable by `node:fs` and `Bun.file`; inside the executable it is no file that others can open. */
  readonly ggufPath: string;
  /** Text of its Go template. */
  readonly template: string;
  /** JSON of its default parameters. */
  readonly params: string;
  readonly license: string;
}

/** Undefined when this build was made without the model. */
export function guideAsset(): GuideAsset | undefined {
  const guide = embedded.guide;
  if (guide === undefined) return undefined;
  return {
    ggufPath: guide.gguf,
    template: readFileSync(guide.template, "utf8"),
    params: readFileSync(guide.params, "utf8"),
    license: readFileSync(guide.license, "utf8"),
  };
}

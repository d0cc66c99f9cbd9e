/** Which runner checks which kind of vectors. */

import { chatStream } from "./chat-stream.ts";
import type { KindRunner } from "./context.ts";
import { formatting } from "./formatting.ts";
import { ggufKv } from "./gguf-kv.ts";
import { keepalive } from "./keepalive.ts";
import { modelfile } from "./modelfile.ts";
import { names } from "./names.ts";
import { options } from "./options.ts";
import { parsers } from "./parsers.ts";
import { promptBuild } from "./prompt-build.ts";
import { renderers } from "./renderers.ts";
import { templateLanguage } from "./template-language.ts";
import { templateMatch } from "./template-match.ts";
import { templateRender } from "./template-render.ts";

const runners: Readonly<Record<string, KindRunner>> = {
  "chat-stream": chatStream,
  formatting,
  "gguf-kv": ggufKv,
  keepalive,
  modelfile,
  names,
  options,
  "prompt-build": promptBuild,
  "template-language": templateLanguage,
  "template-match": templateMatch,
  "template-render": templateRender,
};

/** Whether a file holds what several kinds use, and no vectors of its own. */
export function isShared(kind: string): boolean {
  return kind === "renderer-conversations";
}

export function runnerOf(kind: string): KindRunner | undefined {
  if (kind.startsWith("parser-")) return parsers;
  if (kind.startsWith("renderer-")) return renderers;
  return runners[kind];
}

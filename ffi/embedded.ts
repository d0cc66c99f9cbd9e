/**
 * What the executable carries. This is the source tree's version: libraries lie in dist/lib, the
 * model in assets/guide. `bun build.ts` replaces this module by a generated one whose paths point
 * into the executable (scripts/build/compile.ts).
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Embedded } from "./embedded-types.ts";

const root = join(import.meta.dir, "..");
const guide = join(root, "assets", "guide");

export const embedded: Embedded = {
  libraries: { kind: "folder", folder: join(root, "dist", "lib") },
  guide: existsSync(join(guide, "guide.gguf"))
    ? {
        gguf: join(guide, "guide.gguf"),
        template: join(guide, "template.gotmpl"),
        params: join(guide, "params.json"),
        license: join(guide, "LICENSE"),
      }
    : undefined,
};

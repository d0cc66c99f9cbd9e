/**
 * A short soak: clients that come and leave, runners that are killed, models that take turns, all at
 * once. Every request ends in an answer or a clear error, and no child is left. `bench/soak.ts` also
 * compares memory over a long time; here it does not count.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { haveExecutable, testModel } from "../support/executable.ts";

const ready = haveExecutable && testModel("stories260K-f32.gguf") !== undefined;

test.skipIf(!ready || process.platform !== "linux")(
  "every request ends well or clearly while runners are killed and models switch",
  async () => {
    const script = join(import.meta.dir, "../../bench/soak.ts");
    const argv = ["--minutes", "0.3", "--kill-every", "3", "--clients", "8"];
    const child = Bun.spawn([process.execPath, script, ...argv], { stdout: "pipe" });
    const text = await new Response(child.stdout).text();
    await child.exited;
    expect(text).toContain("children left: 0; broken requests: 0");
    const [, answered, kills] = /(\d+) answered,.*?(\d+) kills/.exec(text) ?? [];
    expect(Number(answered)).toBeGreaterThan(0);
    expect(Number(kills)).toBeGreaterThan(0);
  },
  120_000,
);

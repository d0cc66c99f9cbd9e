/**
 * A model of 15 million random weights, as `bench/model.ts` makes it: slow enough that a client can leave
 * while its prompt is evaluated, and it never ends an answer by itself.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";

const script = join(import.meta.dir, "../../bench/model.ts");

/** Makes it in a folder. Returns its path, undefined where the vendored tree with its vocabulary is missing. */
export async function middlingModel(folder = tmpdir()): Promise<string | undefined> {
  const path = join(folder, "middling.gguf");
  const child = Bun.spawn([process.execPath, script, path, "--small"], {
    stdout: "ignore",
    stderr: "ignore",
  });
  return (await child.exited) === 0 ? path : undefined;
}

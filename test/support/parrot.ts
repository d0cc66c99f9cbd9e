/**
 * Models whose replies are known beforehand, written by a script that lies beside the checkout: tool
 * calls, two at once, thinking, JSON, a reply without end. Undefined without the script or python3.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const script = resolve(import.meta.dir, "../../../shared/golden/parrot.py");

export const haveParrot: boolean = existsSync(script) && Bun.which("python3") !== null;

export interface Parrot {
  /** The GGUF that all of them use. */
  readonly path: string;
  /** Go templates by model name. */
  readonly templates: Readonly<Record<string, string>>;
}

/** Writes the file into a folder. */
export function writeParrot(folder: string): Parrot {
  const path = join(folder, "parrot.gguf");
  const program = `import sys, json; sys.dont_write_bytecode = True; sys.path.insert(0, ${JSON.stringify(resolve(script, ".."))}); import parrot
open(${JSON.stringify(path)}, "wb").write(parrot.gguf()); print(json.dumps(parrot.MODELS))`;
  const { stdout, stderr, exitCode } = Bun.spawnSync(["python3", "-c", program]);
  if (exitCode !== 0) throw new Error(`write a parrot: ${stderr.toString()}`);
  return { path, templates: JSON.parse(stdout.toString()) as Record<string, string> };
}

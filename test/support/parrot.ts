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

/** A reply of the model's own, instead of one of the script's. */
export interface OwnReply {
  /** The reply of the model `parrot-tool` to a question with tools. */
  readonly text: string;
  /** Parts of it that are control tokens. */
  readonly control: readonly string[];
}

/** Cuts a reply at its control tokens, which become tokens of their own. */
const ownReply = `
marks = own["control"]; cut = parrot.pieces; build = parrot.build; parrot.SCRIPTS["tool"] = own["text"]
def pieces(text, used):
    parts = re.split("(" + "|".join(map(re.escape, marks)) + ")", text) if marks else [text]
    return [piece for part in parts for piece in ([part] if part in marks else cut(part, used))]
def made():
    vocab, after = build()
    return [(text, 3 if text in marks else kind) for text, kind in vocab], after
parrot.pieces = pieces; parrot.build = made`;

/** Writes the file into a folder. @param file its name */
export function writeParrot(folder: string, own?: OwnReply, file = "parrot.gguf"): Parrot {
  const path = join(folder, file);
  const program = `import re, sys, json; sys.dont_write_bytecode = True; sys.path.insert(0, ${JSON.stringify(resolve(script, ".."))}); import parrot
own = json.loads(sys.argv[1])${own === undefined ? "" : ownReply}
open(${JSON.stringify(path)}, "wb").write(parrot.gguf(${JSON.stringify(file)})); print(json.dumps(parrot.MODELS))`;
  const argument = JSON.stringify(own ?? null);
  const { stdout, stderr, exitCode } = Bun.spawnSync(["python3", "-c", program, argument]);
  if (exitCode !== 0) throw new Error(`write a parrot: ${stderr.toString()}`);
  return { path, templates: JSON.parse(stdout.toString()) as Record<string, string> };
}

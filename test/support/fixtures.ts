/**
 * The recorded model fixtures beside the checkout, made by their own script into a folder that goes
 * away. They need python3 with numpy, which is installed into the build's cache where it is missing;
 * where that cannot be done the suites skip, visibly, and the reason is printed.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pythonWith } from "./python.ts";

const recorded = resolve(import.meta.dir, "../../../shared/golden/models");

/** Whose generator gives the recorded files (`inputs_sha256`). */
const numpy = "numpy==2.4.6";

function hasNumpy(python: string): boolean {
  if (Bun.which(python) === null) return false;
  return Bun.spawnSync([python, "-c", "import numpy"]).exitCode === 0;
}

/** `HUTCH_TEST_PYTHON` names another interpreter. Undefined where nothing is recorded or none is found. */
function findPython(): string | undefined {
  if (!existsSync(join(recorded, "make_fixtures.py"))) return undefined;
  const named = process.env.HUTCH_TEST_PYTHON;
  if (named !== undefined) return hasNumpy(named) ? named : undefined;
  if (hasNumpy("python3")) return "python3";
  const { python, missing } = pythonWith(numpy);
  if (python === undefined) process.stderr.write(`no recorded models are made: ${missing}\n`);
  return python;
}

const python = findPython();

/** Whether fixtures can be made here. */
export const haveFixtures: boolean = python !== undefined;

/** A recorded file. */
export async function recordedJson<T>(name: string): Promise<T> {
  return (await Bun.file(join(recorded, name)).json()) as T;
}

export interface Fixtures extends Disposable {
  readonly folder: string;
  /** Path of a file below the folder. */
  path(...parts: string[]): string;
  /** Files of a folder by their names in it, with `/`. */
  files(...parts: string[]): Record<string, string>;
}

function list(folder: string, prefix = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) Object.assign(found, list(path, `${prefix}${name}/`));
    else found[prefix + name] = path;
  }
  return found;
}

/** @param script `make_fixtures.py` or `gguf_cases.py` */
export function makeFixtures(script: string): Fixtures {
  const folder = mkdtempSync(join(tmpdir(), "hutch-fixtures-"));
  if (python === undefined) throw new Error(`${script} needs a python3 with numpy`);
  const made = Bun.spawnSync([python, "-B", join(recorded, script), folder]);
  if (made.exitCode !== 0) throw new Error(`${script}: ${made.stderr.toString()}`);
  const path = (...parts: string[]) => join(folder, ...parts);
  return {
    folder,
    path,
    files: (...parts) => list(path(...parts)),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

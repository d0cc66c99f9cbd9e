/**
 * The recorded model fixtures beside the checkout, made by their own script into a folder that goes
 * away. They need python3 with numpy; where either is missing the suites skip, visibly.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const recorded = resolve(import.meta.dir, "../../../shared/golden/models");

/** `HUTCH_TEST_PYTHON` names another interpreter. */
const python = process.env.HUTCH_TEST_PYTHON ?? "python3";

function works(): boolean {
  if (!existsSync(join(recorded, "make_fixtures.py"))) return false;
  const probe = Bun.which(python) === null ? null : Bun.spawnSync([python, "-c", "import numpy"]);
  return probe?.exitCode === 0;
}

/** Whether fixtures can be made here. */
export const haveFixtures: boolean = works();

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

/**
 * Ollama's Python client in an environment of its own, made once per checkout. Where python3, pip or a
 * package index are missing there is none, and the tests that want it skip, saying why.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const version = "0.6.3";
const folder = resolve(import.meta.dir, `../../node_modules/.cache/ollama-python-${version}`);

export interface PythonClient {
  /** The interpreter that has the client; undefined when there is none. */
  readonly python: string | undefined;
  /** Why there is none. */
  readonly missing: string;
}

function run(command: readonly string[]): string | undefined {
  if (Bun.which(command[0] ?? "") === null) return `${command[0]} is not installed`;
  const { exitCode, stderr } = Bun.spawnSync([...command], {
    stdout: "ignore",
    stderr: "pipe",
    timeout: 180_000,
  });
  return exitCode === 0 ? undefined : `${command.join(" ")}: ${stderr.toString().slice(-300)}`;
}

/** The client, installed when it is not there yet. */
export function pythonClient(): PythonClient {
  const python = join(folder, "bin/python");
  if (existsSync(python)) return { python, missing: "" };
  const fresh = `${folder}.${process.pid}`;
  mkdirSync(dirname(folder), { recursive: true });
  const missing =
    run(["python3", "-m", "venv", fresh]) ??
    run([join(fresh, "bin/python"), "-m", "pip", "install", "--quiet", `ollama==${version}`]);
  if (missing !== undefined) {
    rmSync(fresh, { recursive: true, force: true });
    return { python: undefined, missing };
  }
  // Another test run may have been faster.
  if (existsSync(folder)) rmSync(fresh, { recursive: true, force: true });
  else renameSync(fresh, folder);
  return { python, missing: "" };
}

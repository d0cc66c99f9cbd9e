/** npm packages as the lockfile has them, and the Bun among them in working order. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Failure, run } from "./steps.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The `bun` that this checkout uses. */
export const bun = join(
  root,
  "node_modules",
  "bun",
  "bin",
  "bun.exe", // its name on every system
);

function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}

/**
 * Whether node_modules holds what package-lock.json asks for, by npm's own record of what it put
 * there. Packages for other systems are optional and left out.
 */
export function isInstalled(folder = root) {
  const wanted = readJson(join(folder, "package-lock.json"))?.packages;
  const present = readJson(join(folder, "node_modules", ".package-lock.json"))?.packages;
  if (wanted === undefined || present === undefined) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === "" || (entry.optional && present[path] === undefined)) return true;
    return present[path]?.version === entry.version && present[path]?.integrity === entry.integrity;
  });
}

/** npm as it was started, or the one on PATH. */
function npm(args) {
  const cli = process.env.npm_execpath;
  return cli?.endsWith(".js")
    ? run(process.execPath, [cli, ...args], { quiet: true, cwd: root })
    : run(process.platform === "win32" ? "npm.cmd" : "npm", args, { quiet: true, cwd: root });
}

const bunRuns = () =>
  spawnSync(bun, ["--version"], { encoding: "utf8" }).stdout?.trim() ===
  readJson(join(root, "package.json")).devDependencies.bun;

/** Installs what is missing; returns what was done, in words. */
export async function installPackages() {
  const installed = isInstalled();
  if (!installed) {
    const { code, output } = await npm(["ci", "--no-audit", "--no-fund"]);
    if (code !== 0) {
      throw new Failure(`npm ci failed:\n${output.trimEnd().split("\n").slice(-30).join("\n")}`);
    }
  }
  if (bunRuns()) return installed ? "nothing has changed" : undefined;
  // npm may be set up not to run the install scripts of packages; this one puts Bun's binary in place.
  const script = join(root, "node_modules", "bun", "install.js");
  const { output } = await run(process.execPath, [script], { quiet: true, cwd: root });
  if (!bunRuns()) throw new Failure(`Bun from npm does not run:\n${output.trimEnd()}`);
  return undefined;
}

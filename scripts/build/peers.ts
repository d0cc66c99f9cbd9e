/** The programs that bench/ compares with, from the same source and with the same flags as hutch. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, type CMakeRun, configure, outputFolder } from "./cmake.ts";
import { copyAtomic, filesBelow, removeFolder } from "./files.ts";
import { lockBuild } from "./native.ts";
import type { Progress } from "./progress.ts";

const suffix = process.platform === "win32" ? ".exe" : "";
const programs = ["llama-bench", "llama-batched-bench", "llama-server"].map(
  (name) => `${name}${suffix}`,
);
const completeMarker = ".complete";

/** Builds the programs unless the cache has them, and puts them and their libraries into `to`. */
export async function buildPeers(
  job: CMakeRun,
  clean: boolean,
  to: string,
  progress: Progress,
): Promise<void> {
  const { peersFolder } = job.plan;
  const marker = join(peersFolder, completeMarker);
  if (clean || !existsSync(marker)) {
    progress.expect(2);
    await lockBuild(job, progress, async () => {
      progress.step("Configure peers");
      await configure(job, true);
      progress.step("Compile peers");
      await build(job, "hutch-peers", (done, total) => progress.update(done, total));
      const work = `${peersFolder}.${process.pid}.tmp`;
      rmSync(work, { recursive: true, force: true });
      copyPeers(outputFolder(job.plan), work);
      writeFileSync(join(work, completeMarker), "");
      removeFolder(peersFolder);
      renameSync(work, peersFolder);
    });
  }
  copyPeers(peersFolder, to);
}

/** Programs and all libraries beside each other, as the programs expect them. */
function copyPeers(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of filesBelow(from)) {
    const wanted = programs.includes(name) || /\.(?:so|dylib|dll)$/.test(name);
    if (wanted && !/hutch\./.test(name)) copyAtomic(join(from, name), join(to, name));
  }
}

/**
 * `npm test`: installs and builds what tests need, then runs the suites, and ends in one line
 * `N passed, N failed, N skipped` (the last part only when something was). `npm test -- unit contract`
 * runs these suites alone; unit and contract build nothing. With e2e goes a soak, beside all suites.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bun, installPackages } from "./setup/install.mjs";
import { readReport } from "./setup/report.mjs";
import { startSoak } from "./setup/soak.mjs";
import { Failure, run, runMain, say, step } from "./setup/steps.mjs";
import { checkTools } from "./setup/tools.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

/** `seconds`: most that one test may take. `built`: whether it needs dist/. */
const suites = {
  unit: { seconds: 10, built: false },
  contract: { seconds: 30, built: false },
  golden: { seconds: 120, built: true },
  e2e: { seconds: 120, built: true },
};

async function main(args) {
  const names = args.filter((arg) => arg !== "--dev");
  const unknown = names.filter((name) => !(name in suites));
  if (unknown.length > 0) {
    throw new Failure(
      `"${unknown[0]}" is no suite; there are ${Object.keys(suites).join(", ")}, and the flag --dev`,
    );
  }
  const chosen = names.length > 0 ? names : Object.keys(suites);
  const build = chosen.some((name) => suites[name].built);
  const steps = (build ? 3 : 1) + chosen.length + (chosen.includes("e2e") ? 1 : 0);
  let n = 0;
  if (build) await step(++n, steps, "Tools", checkTools);
  await step(++n, steps, "Packages", installPackages);
  if (build) {
    await step(++n, steps, "Build", async () => {
      const flags = args.includes("--dev") ? ["--dev"] : [];
      const { code } = await run(bun, [join(root, "build.ts"), ...flags], { cwd: root });
      if (code !== 0) throw new Failure("The build failed, see above.");
    });
  }
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const count = (counts) => {
    for (const kind of Object.keys(sum)) sum[kind] += counts[kind];
    return summary(counts);
  };
  const soak = chosen.includes("e2e") ? startSoak(root) : undefined;
  for (const name of chosen) {
    await step(++n, steps, `Tests: ${name}`, async () => count(await runSuite(name)));
  }
  if (soak !== undefined) await step(++n, steps, "Soak", async () => count(await soak()));
  process.stdout.write(`${summary(sum)}\n`);
  return sum.failed > 0 || sum.passed === 0 ? 1 : 0;
}

function summary({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** Runs a suite by `bun test` and counts by its report, which is made for machines. */
async function runSuite(name) {
  const folder = join(root, "test", name);
  if (!existsSync(folder)) throw new Failure(`test/${name} is missing`);
  const work = mkdtempSync(join(tmpdir(), "hutch-report-"));
  const report = join(work, "junit.xml");
  try {
    const flags = ["--reporter=junit", `--reporter-outfile=${report}`];
    const limit = `--timeout=${suites[name].seconds * 1000}`;
    const { code, signal } = await run(bun, ["test", `./test/${name}`, limit, ...flags], {
      cwd: root,
    });
    const counts = existsSync(report)
      ? readReport(readFileSync(report, "utf8"))
      : { passed: 0, failed: 0, skipped: 0 };
    if (code !== 0 && counts.failed === 0) {
      // A file that does not load, or a runner that dies, fails no test by itself.
      say(`bun test ended with ${signal ?? `exit code ${code}`}: counted as one failure`);
      counts.failed = 1;
    }
    return counts;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

await runMain(main);

/**
 * Runs a folder of reference vectors against hutch's modules:
 * `bun test/golden/vectors.ts --dir DIR [--only KIND] [--verbose]`, ending in `N passed, N failed`.
 * A kind is a file name without `.json`; kinds without a runner here count as skipped, visibly.
 */
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { isShared, runnerOf } from "./kinds/table.ts";

export interface Outcome {
  readonly kind: string;
  passed: number;
  readonly failures: string[];
  skipped: number;
}

/** Runs one file. */
export async function runKind(dir: string, kind: string): Promise<Outcome> {
  const outcome: Outcome = { kind, passed: 0, failures: [], skipped: 0 };
  const data = (await Bun.file(join(dir, `${kind}.json`)).json()) as Record<string, unknown>;
  const run = runnerOf(kind);
  if (run === undefined) {
    outcome.skipped = Array.isArray(data.vectors) ? data.vectors.length : 1;
    return outcome;
  }
  await run(data, {
    dir,
    check: (name, actual, expected) => {
      if (Bun.deepEquals(actual, expected)) outcome.passed++;
      else {
        outcome.failures.push(
          `${kind} ${name}\n    wanted ${show(expected)}\n    got    ${show(actual)}`,
        );
      }
    },
    skip: () => outcome.skipped++,
  });
  return outcome;
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (_, item) => (typeof item === "bigint" ? `${item}n` : item));
  return (text ?? "undefined").slice(0, 600);
}

export function kindsIn(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith(".json"))
    .map((name) => basename(name, ".json"))
    .filter((kind) => !isShared(kind))
    .sort();
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { dir: { type: "string" }, only: { type: "string" }, verbose: { type: "boolean" } },
  });
  if (values.dir === undefined) {
    console.error("usage: bun test/golden/vectors.ts --dir DIR [--only KIND] [--verbose]");
    process.exit(2);
  }
  const total = { passed: 0, failed: 0, skipped: 0 };
  const wanted = values.only?.split(",");
  for (const kind of kindsIn(values.dir)) {
    if (wanted !== undefined && !wanted.includes(kind)) continue;
    const outcome = await runKind(values.dir, kind);
    for (const failure of outcome.failures.slice(0, values.verbose ? undefined : 5)) {
      console.log(failure);
    }
    const { passed, failures, skipped } = outcome;
    console.log(`${kind}: ${passed} passed, ${failures.length} failed, ${skipped} skipped`);
    total.passed += passed;
    total.failed += failures.length;
    total.skipped += skipped;
  }
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);
}

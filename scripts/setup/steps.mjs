/** Steps of `npm start` and `npm test` as their user sees them. Plain Node: nothing is installed yet. */
import { spawn } from "node:child_process";

/** What a user reads when a step cannot be done; shown without a stack. */
export class Failure extends Error {}

/** Prints to stderr; stdout is for answers and results. */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

/** Runs `work` as step `n` of `total`, telling how long it took. */
export async function step(n, total, title, work) {
  const started = Date.now();
  say(`(${n}/${total}) ${title} …`);
  const outcome = await work();
  const took = ((Date.now() - started) / 1000).toFixed(1);
  say(`(${n}/${total}) ${title}: ${outcome ?? "done"}, ${took} s`);
}

/**
 * Runs a program to its end. `quiet` keeps its output, to be shown only when it fails.
 * Returns the exit code; 127 when it cannot be started.
 */
export function run(command, args, { quiet = false, env = process.env, cwd } = {}) {
  return new Promise((resolve) => {
    const stdio = quiet ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"];
    const child = spawn(command, args, { stdio, env, cwd });
    let output = "";
    child.stdout?.on("data", (chunk) => (output += chunk));
    child.stderr?.on("data", (chunk) => (output += chunk));
    child.on("error", (error) => resolve({ code: 127, output: error.message }));
    child.on("close", (code, signal) => resolve({ code: code ?? 1, signal, output }));
  });
}

/** Runs `main` and sets the exit code: failures are told in one message. */
export async function runMain(main) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    say(`\n${error.message}`);
    process.exitCode = 1;
  }
}

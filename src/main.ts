/** The command line: finds the command, runs it, turns errors into one line and an exit code. */

/** What is done before anything else is imported, so that it is fast. */
async function fast(argv: readonly string[]): Promise<number | undefined> {
  if (argv[0] === "runner") return (await import("./engine/runner/main.ts")).runRunner();
  if (argv[0] === "worker") return (await import("./worker/main.ts")).runWorker();
  if (argv[0] === "serve" || argv[0] === "start") {
    (await import("./config/compilers.ts")).beginAsServer(argv);
  }
  return undefined;
}

async function main(argv: readonly string[]): Promise<number> {
  const early = await fast(argv);
  if (early !== undefined) return early;
  const { runCommand } = await import("./cli/run-command.ts");
  return runCommand(argv);
}

// A reader that closes the pipe early ends the command quietly, as other tools do.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

// Pipes take what they can: exit waits until the rest is out, or a reader would get the first 64 KB.
void main(process.argv.slice(2)).then((code) => {
  process.stdout.end(() => process.stderr.end(() => process.exit(code)));
});

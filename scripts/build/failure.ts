/** A build that cannot go on: what a user reads, without a stack. Anything else is a bug. */
export class BuildError extends Error {
  override name = "BuildError";
  constructor(
    message: string,
    /** File with the whole output of the command that failed. */
    readonly log?: string,
  ) {
    super(message);
  }
}

/** The last lines of a log, for a message about a failure. */
export async function lastLines(file: string, count = 30): Promise<string> {
  const text = await Bun.file(file)
    .text()
    .catch(() => "");
  return text.trimEnd().split("\n").slice(-count).join("\n");
}

/** Runs the build's external programs. */
import { closeSync, openSync, writeSync } from "node:fs";
import { BuildError } from "./failure.ts";

/** Standard output of a program, or undefined when it is missing or fails. */
export function tryOutput(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): string | undefined {
  try {
    const result = Bun.spawnSync([...command], { env, stdin: "ignore", stderr: "ignore" });
    return result.exitCode === 0 ? result.stdout.toString() : undefined;
  } catch {
    return undefined;
  }
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
  /** Everything that the program prints is appended here. */
  readonly log: string;
  /** Gets each line as it comes. */
  readonly onLine?: (line: string) => void;
}

/**
 * Runs a program to its end, with its output in the log.
 * @throws BuildError with the log when it cannot start or does not exit 0.
 */
export async function run(command: readonly string[], options: RunOptions): Promise<void> {
  const log = openSync(options.log, "a");
  try {
    writeSync(log, `\n$ ${command.join(" ")}\n`);
    const child = spawn(command, options);
    const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
      const decoder = new TextDecoder();
      let rest = "";
      for await (const chunk of stream) {
        writeSync(log, chunk);
        const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/);
        rest = lines.pop() ?? "";
        for (const line of lines) options.onLine?.(line);
      }
    };
    await Promise.all([read(child.stdout), read(child.stderr)]);
    const code = await child.exited;
    if (code !== 0) {
      throw new BuildError(
        `"${command[0]}" ended with ${child.signalCode ?? `exit code ${code}`}`,
        options.log,
      );
    }
  } finally {
    closeSync(log);
  }
}

function spawn(command: readonly string[], options: RunOptions) {
  try {
    return Bun.spawn([...command], {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: options.env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  } catch (error) {
    throw new BuildError(`"${command[0]}" cannot be started: ${(error as Error).message}`);
  }
}

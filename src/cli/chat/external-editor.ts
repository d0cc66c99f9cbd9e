/** Writes a message in the user's editor (Ctrl-G). */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../../errors.ts";

/**
 * @param command words of the editor's command line, set apart by blanks
 * @returns the text that the editor left, without its last line end
 * @throws UsageError when the editor does not start or fails
 */
export async function editText(command: string, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "hutch-message-"));
  const file = join(folder, "message.md");
  try {
    await writeFile(file, text, { mode: 0o600 });
    const words = command.split(/\s+/).filter((word) => word !== "");
    const child = Bun.spawn([...words, file], {
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    });
    const code = await child.exited;
    if (code !== 0) throw new UsageError(`editor "${command}" ended with ${code}`);
    return (await readFile(file, "utf8")).replace(/\n$/, "");
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
    throw new UsageError(`editor "${command}" was not found`, { cause: error });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

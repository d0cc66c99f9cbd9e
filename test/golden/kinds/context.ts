/** What the runners of all kinds share. */
import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";

export interface KindContext {
  /** Folder of the vectors. */
  readonly dir: string;
  check(name: string, actual: unknown, expected: unknown): void;
  /** A vector that cannot be run here. */
  skip(): void;
}

/**
 * A file that vectors name (`data/…`) or share (`golden/vectors/…`): in the vectors' own folder, else
 * in the tree around it, else in `shared` next to the checkout.
 */
export function sharedPath(dir: string, path: string): string {
  const checkout = resolve(import.meta.dir, "../../..");
  const roots = [resolve(dir, "../.."), resolve(dir, ".."), resolve(checkout, "../shared")];
  const places = [join(dir, basename(path)), ...roots.map((root) => join(root, path))];
  const found = places.find((file) => existsSync(file));
  if (found === undefined) throw new Error(`find "${path}": neither ${places.join(" nor ")}`);
  return found;
}

export type KindRunner = (
  data: Record<string, unknown>,
  context: KindContext,
) => void | Promise<void>;

/** What a function returns, or the text of what it throws as `{error}`. */
export function outcomeOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

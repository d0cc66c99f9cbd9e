/** What the runners of all kinds share. */

export interface KindContext {
  /** Folder of the vectors. */
  readonly dir: string;
  check(name: string, actual: unknown, expected: unknown): void;
  /** A vector that this version does not answer. */
  skip(): void;
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

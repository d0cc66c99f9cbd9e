/** Exit codes of every command, as README documents them. */
export const exitCodes = {
  ok: 0,
  /** Any error; one line `Error: …` on stderr. */
  error: 1,
  /** Interrupted before the work was done. */
  interrupted: 130,
} as const;

/** Which built-in renderer a stored name stands for (template.md 10). */

/** Parameters that a size like `4.3B`, `270M` or `260K` says; undefined for anything else. */
export function parameterCount(size: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([KMB])$/i.exec(size.trim());
  if (match === null) return undefined;
  const unit = { K: 1e3, M: 1e6, B: 1e9 }[(match[2] ?? "").toUpperCase()] ?? 1;
  return Number(match[1]) * unit;
}

/** From here on a gemma4 is a large one. */
const largeGemma = 12e9;

/**
 * The renderer's own name. `gemma4` has two forms: the model's names tell which, the first that says
 * anything, else its size.
 */
export function resolveRenderer(
  renderer: string,
  names: readonly string[],
  parameterSize: string,
): string {
  if (renderer !== "gemma4") return renderer;
  for (const name of names) {
    if (/e[24]b/i.test(name)) return "gemma4-small";
    if (/(?:12|26|31)b/i.test(name)) return "gemma4-large";
  }
  return (parameterCount(parameterSize) ?? 0) >= largeGemma ? "gemma4-large" : "gemma4-small";
}

/** Paths and methods: which are known, and how others are answered (api.md 1.1). */

/** Order of `Allow`. */
const methodOrder = ["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"];

/** Percent escapes of letters, digits and `-._~` mean the character; others stay for the route. */
function decodePlain(escaped: string, hex: string): string {
  const character = String.fromCharCode(Number.parseInt(hex, 16));
  return /[A-Za-z0-9\-._~]/.test(character) ? character : escaped;
}

/** A path without doubled and trailing slashes, dot parts and needless escapes. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.replace(/%([2-7][0-9a-fA-F])/g, decodePlain).split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return `/${parts.join("/")}`;
}

export interface KnownPath {
  /** The route's own path, with colons where any part fits. */
  readonly pattern: string;
  readonly methods: readonly string[];
  /** Set where parts of the path vary. */
  readonly matches?: RegExp;
}

/**
 * Pattern and methods (in the order of `Allow`) of a clean path, or undefined for an unknown one.
 * @param routes method and path of every route; a part that begins with a colon stands for any
 */
export function methodTable(
  routes: readonly { readonly method: string; readonly path: string }[],
): (path: string) => KnownPath | undefined {
  const fixed = new Map<string, KnownPath>();
  const patterns = new Map<string, KnownPath & { matches: RegExp }>();
  for (const { method, path } of routes) {
    const matches = new RegExp(`^${path.replace(/:[^/]+/g, "[^/]+")}$`);
    const known = (path.includes(":") ? patterns : fixed).get(path)?.methods;
    const methods = [...(known ?? []), method].sort(
      (a, b) => methodOrder.indexOf(a) - methodOrder.indexOf(b),
    );
    if (path.includes(":")) patterns.set(path, { pattern: path, matches, methods });
    else fixed.set(path, { pattern: path, methods });
  }
  return (path) =>
    fixed.get(path) ?? [...patterns.values()].find(({ matches }) => matches.test(path));
}

function plainText(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(text, { status, headers: { "content-type": "text/plain", ...headers } });
}

/** The answer for a path or method that no route has; undefined when there is one. */
export function refusePath(
  method: string,
  methods: readonly string[] | undefined,
): Response | undefined {
  if (methods === undefined) return plainText(404, "404 page not found");
  if (methods.includes(method)) return undefined;
  return plainText(405, "405 method not allowed", { allow: methods.join(", ") });
}

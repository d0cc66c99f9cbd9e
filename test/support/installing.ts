/** Runs install.sh with the tools and rights that a test wants it to have. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Everything that the script may call, but for what fetches and what verifies. */
const common =
  `awk basename cat chmod cp cut dirname getconf grep gzip head id ln ls mkdir mktemp mv od
  readlink rm rmdir sed sh sha256sum sort tail tar tr uname`.split(/\s+/);

/** Tools that tests add to the common ones. */
export type Tool = "curl" | "wget" | "openssl" | "minisign";

/** A folder of links to tools: the whole PATH of a script. */
export function toolFolder(parent: string, tools: readonly Tool[]): string {
  const folder = mkdtempSync(join(parent, "tools-"));
  chmodSync(folder, 0o755);
  for (const tool of [...common, ...tools]) {
    const path = Bun.which(tool);
    if (path !== null) symlinkSync(path, join(folder, tool));
  }
  return folder;
}

export interface Installation {
  readonly code: number | null;
  /** What the script said. */
  readonly said: string;
}

export interface InstallOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Command in front, that takes the rest as its own: `setpriv …`. */
  readonly through?: readonly string[];
  readonly shell?: readonly string[];
}

/** Runs a script; the environment is what is given and nothing else. */
export async function install(
  script: string,
  args: readonly string[],
  options: InstallOptions = {},
): Promise<Installation> {
  const { env = {}, through = [], shell = ["sh"] } = options;
  const child = Bun.spawn([...through, ...shell, script, ...args], {
    env: { PATH: process.env.PATH ?? "", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, said] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, said: out + said };
}

/** Every path below a folder with what it holds, for comparing before and after. */
export function tree(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  const walk = (current: string, shown: string): void => {
    for (const entry of readdirSync(current, { withFileTypes: true })) {
      const path = join(current, entry.name);
      const name = `${shown}${entry.name}`;
      if (entry.isSymbolicLink()) found[name] = `-> ${readlinkSync(path)}`;
      else if (entry.isDirectory()) {
        found[`${name}/`] = "";
        walk(path, `${name}/`);
      } else found[name] = readFileSync(path, "latin1");
    }
  };
  if (existsSync(folder)) walk(folder, "");
  return found;
}

/** A folder that everybody may enter, as other users have to, with a mirror and somebody's home. */
export function openPlaces(): { folder: string; mirror: string; home: string } {
  const folder = mkdtempSync(join(tmpdir(), "hutch-install-test-"));
  chmodSync(folder, 0o755);
  const places = { folder, mirror: join(folder, "mirror"), home: join(folder, "home") };
  mkdirSync(places.mirror);
  mkdirSync(places.home);
  return places;
}

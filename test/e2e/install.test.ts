/** install.sh: from a mirror to a place, and nothing changed whenever something is wrong. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { install, openPlaces, type Tool, toolFolder, tree } from "../support/installing.ts";
import { greeting, type MirrorOptions, makeMirror, ownPlatform } from "../support/mirror.ts";

const unix = process.platform === "linux" || process.platform === "darwin";
const root = process.getuid?.() === 0;
const openssl3 = /^OpenSSL [3-9]/.test(
  Bun.which("openssl") === null ? "" : Bun.spawnSync(["openssl", "version"]).stdout.toString(),
);

let folder: string;
let mirror: string;
let home: string;

beforeEach(() => {
  ({ folder, mirror, home } = openPlaces());
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const places = () => ({ HUTCH_INSTALL_DIR: join(home, "bin"), HUTCH_BASE_URL: `file://${mirror}` });

/** Runs the mirror's install.sh with the tools given. */
async function run(
  args: readonly string[] = [],
  env: Record<string, string> = {},
  tools: readonly Tool[] = ["openssl"],
) {
  const PATH = toolFolder(folder, tools);
  return await install(join(mirror, "install.sh"), args, {
    env: { PATH, TMPDIR: folder, ...places(), ...env },
  });
}

/** What the installed executable says. */
function installed(): string | undefined {
  const path = join(home, "bin/hutch");
  return existsSync(path) ? Bun.spawnSync([path]).stdout.toString().trim() : undefined;
}

describe.skipIf(!unix || !openssl3)("install.sh with openssl", () => {
  test("installs a signed release, says so, and what to do about PATH", async () => {
    await makeMirror(mirror);
    const { code, said } = await run();
    expect({ code, said }).toEqual({ code: 0, said: expect.stringContaining("installed: ") });
    expect(said).toContain("is not in PATH");
    expect(installed()).toBe(greeting("1.0.0"));
    expect(
      Object.keys(tree(folder)).filter((name) => /hutch-install\.|\.new\./.test(name)),
    ).toEqual([]);
  });

  test.each([
    [
      "an archive that was changed",
      () => appendFileSync(join(mirror, `hutch-1.0.0-${ownPlatform}.tar.gz`), "x"),
      /checksum of .* is [0-9a-f]{64}, expected/,
    ],
    [
      "an archive that was cut",
      () => truncateSync(join(mirror, `hutch-1.0.0-${ownPlatform}.tar.gz`), 100),
      /checksum of/,
    ],
    [
      "an archive that is missing",
      () => rmSync(join(mirror, `hutch-1.0.0-${ownPlatform}.tar.gz`)),
      /cannot fetch .*tar\.gz/,
    ],
    [
      "checksums that were changed",
      () => appendFileSync(join(mirror, "SHA256SUMS"), "\n"),
      /signature .* is wrong/,
    ],
    [
      "a missing signature",
      () => rmSync(join(mirror, "SHA256SUMS.minisig")),
      /cannot fetch .*minisig/,
    ],
    [
      "a signature of nothing",
      () => writeFileSync(join(mirror, "SHA256SUMS.minisig"), "a\nb\nc\nd\n"),
      /signature .* is wrong/,
    ],
    [
      "checksums that are missing",
      () => rmSync(join(mirror, "SHA256SUMS")),
      /cannot fetch .*SHA256SUMS/,
    ],
  ])("refuses %s, and changes nothing", async (_, damage, message) => {
    await makeMirror(mirror);
    damage();
    const before = tree(home);
    const { code, said } = await run();
    expect({ code, said }).toEqual({ code: 1, said: expect.stringMatching(message) });
    expect(tree(home)).toEqual(before);
  });

  test("refuses a comment that was changed, which the signature covers too", async () => {
    await makeMirror(mirror);
    const path = join(mirror, "SHA256SUMS.minisig");
    writeFileSync(path, readFileSync(path, "utf8").replace("comment: hutch", "comment: other"));
    expect(await run()).toEqual({
      code: 1,
      said: expect.stringContaining("signature of SHA256SUMS is wrong"),
    });
  });

  test("refuses another key's signature", async () => {
    await makeMirror(mirror);
    const other = join(folder, "other");
    mkdirSync(other);
    await makeMirror(other);
    const { code, said } = await run([], { HUTCH_BASE_URL: `file://${other}` });
    expect({ code, said }).toEqual({
      code: 1,
      said: expect.stringContaining("signature of SHA256SUMS is wrong"),
    });
    const key =
      /^public_key='(.*)'$/m.exec(readFileSync(join(other, "install.sh"), "utf8"))?.[1] ?? "";
    const named = await run([], { HUTCH_BASE_URL: `file://${other}`, HUTCH_PUBLIC_KEY: key });
    expect(named.code).toBe(0);
  });
});

describe.skipIf(!unix || Bun.which("minisign") === null)("install.sh with minisign", () => {
  test("takes a right signature and refuses a wrong one", async () => {
    await makeMirror(mirror);
    expect((await run([], {}, ["minisign"])).code).toBe(0);
    appendFileSync(join(mirror, "SHA256SUMS"), "\n");
    expect(await run([], {}, ["minisign"])).toEqual({
      code: 1,
      said: expect.stringContaining("signature of SHA256SUMS is wrong"),
    });
  });
});

describe.skipIf(!unix)("install.sh", () => {
  /** A mirror without a signature, for what is not about signatures. */
  const unsigned = (options: MirrorOptions = {}) =>
    makeMirror(mirror, { ...options, signed: false });

  test("refuses where nothing can check the signature, unless it is told to", async () => {
    await makeMirror(mirror);
    const refused = await run([], {}, []);
    expect(refused).toEqual({
      code: 1,
      said: expect.stringContaining("nothing here can check the signature"),
    });
    expect(tree(home)).toEqual({});
    const told = await run(["--no-signature"], {}, []);
    expect(told).toEqual({
      code: 0,
      said: expect.stringContaining("the signature is not checked, as asked for"),
    });
    expect(installed()).toBe(greeting("1.0.0"));
  });

  test("says that nothing vouches for a release without a key", async () => {
    await unsigned();
    expect(await run()).toEqual({
      code: 0,
      said: expect.stringContaining("carries no public key"),
    });
  });

  test("says that there is no place to install from", async () => {
    await unsigned();
    const { code, said } = await run([], { HUTCH_BASE_URL: "" });
    expect({ code, said }).toEqual({
      code: 1,
      said: expect.stringContaining("set HUTCH_BASE_URL"),
    });
    const other = await run([], { HUTCH_BASE_URL: "ftp://x" });
    expect(other.said).toContain("must begin with http://");
  });

  test("upgrades, goes back, and again; keeps one version before", async () => {
    await unsigned({ versions: ["1.9.0", "1.10.0", "2.0.0-rc.1"] });
    expect((await run([], { HUTCH_VERSION: "v1.9.0" })).code).toBe(0);
    expect(installed()).toBe(greeting("1.9.0"));
    // 1.10 is newer than 1.9, and what is not finished must be named.
    expect((await run()).said).toContain("the version before is kept");
    expect(installed()).toBe(greeting("1.10.0"));
    expect((await run(["--rollback"])).said).toContain("went back to 1.9.0");
    expect(installed()).toBe(greeting("1.9.0"));
    await run(["--rollback"]);
    expect(installed()).toBe(greeting("1.10.0"));
    await run([], { HUTCH_VERSION: "2.0.0-rc.1" });
    expect(installed()).toBe(greeting("2.0.0-rc.1"));
    const kept = Object.keys(tree(join(home, "bin/.hutch"))).filter((name) =>
      /^[^/]+\/$/.test(name),
    );
    expect(kept.map((name) => name.split("-")[0]).sort()).toEqual(["1.10.0", "2.0.0"]);
    const missing = await run([], { HUTCH_VERSION: "9.9.9" });
    expect(missing).toEqual({ code: 1, said: expect.stringContaining("has no hutch 9.9.9") });
  });

  test("takes places with blanks and other signs in their names", async () => {
    await unsigned();
    const place = join(home, "my $(tools) 'x'");
    const { code } = await run([], { HUTCH_INSTALL_DIR: place });
    const said = Bun.spawnSync([join(place, "hutch")]).stdout.toString();
    expect({ code, said }).toEqual({ code: 0, said: `${greeting("1.0.0")}\n` });
    expect((await run(["--uninstall"], { HUTCH_INSTALL_DIR: place })).code).toBe(0);
    expect(tree(place)).toEqual({});
  });

  test("finds a version in a folder of its own", async () => {
    await unsigned({ versions: ["2.0.0"] });
    const old = join(mirror, "1.5.0");
    mkdirSync(old);
    await makeMirror(old, { versions: ["1.5.0"], signed: false });
    await run([], { HUTCH_VERSION: "1.5.0" });
    expect(installed()).toBe(greeting("1.5.0"));
  });

  test("repairs the installed version by installing it again", async () => {
    await unsigned();
    await run();
    const path = join(home, "bin/hutch");
    writeFileSync(path, "#!/bin/sh\necho broken\n");
    await run();
    expect(installed()).toBe(greeting("1.0.0"));
  });

  test("takes away what a killed installation left", async () => {
    await unsigned();
    const store = join(home, "bin/.hutch");
    mkdirSync(join(store, ".new.abcdef"), { recursive: true });
    // No process has a number above Linux's limit.
    symlinkSync("4194305", join(store, ".lock"));
    await run();
    expect(installed()).toBe(greeting("1.0.0"));
    expect(Object.keys(tree(store)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("lets one at a time work", async () => {
    await unsigned({ versions: ["1.0.0", "1.1.0"] });
    const versions = ["1.0.0", "1.1.0", "1.1.0", "1.1.0"];
    const all = await Promise.all(versions.map((one) => run([], { HUTCH_VERSION: one })));
    expect(all.map(({ code }) => code)).toContain(0);
    for (const { code, said } of all) {
      expect(code === 0 || said.includes("another install.sh is at work")).toBe(true);
    }
    expect(installed()).toMatch(/^hutch 1\.[01]\.0$/);
    const holder = Bun.spawn(["sleep", "60"]);
    symlinkSync(`${holder.pid}`, join(home, "bin/.hutch/.lock"));
    expect((await run(["--uninstall"])).said).toContain(`at work in ${home}`);
    holder.kill();
    await holder.exited;
    expect((await run()).code).toBe(0);
    expect(installed()).toBe(greeting("1.1.0"));
  });

  test("keeps an executable that was put there by hand, for going back", async () => {
    await unsigned();
    mkdirSync(join(home, "bin"));
    writeFileSync(join(home, "bin/hutch"), "#!/bin/sh\necho mine\n", { mode: 0o755 });
    await run();
    expect(installed()).toBe(greeting("1.0.0"));
    await run(["--rollback"]);
    expect(installed()).toBe("mine");
  });

  test("uninstalls what it installed, and nothing else", async () => {
    await unsigned();
    mkdirSync(join(home, "bin"));
    writeFileSync(join(home, "bin/other"), "other");
    const before = tree(home);
    await run();
    expect((await run(["--uninstall", "--dry-run"])).said).toContain("would remove");
    expect(installed()).toBe(greeting("1.0.0"));
    expect(await run(["--uninstall"])).toEqual({
      code: 0,
      said: expect.stringContaining("removed "),
    });
    expect(tree(home)).toEqual(before);
    expect(await run(["--uninstall"])).toEqual({
      code: 1,
      said: expect.stringContaining("nothing to remove"),
    });
  });

  test("changes nothing in a dry run, and tells what would be done", async () => {
    await unsigned();
    expect(await run(["--dry-run"])).toEqual({
      code: 0,
      said: expect.stringContaining("would install hutch-1.0.0-"),
    });
    expect(tree(home)).toEqual({});
    expect((await run(["--rollback", "--dry-run"])).said).toContain("no version before");
  });

  test("chooses the backend of a GPU that it is told of, and the client where there is nothing else", async () => {
    await unsigned({ targets: [ownPlatform, `${ownPlatform}-vulkan`] });
    await run(["--gpu", "vulkan"]);
    const names = Object.keys(tree(join(home, "bin/.hutch")));
    expect(names).toContainEqual(
      expect.stringMatching(/^1\.0\.0-[0-9a-f]{12}\/libggml-vulkan\.so$/),
    );
    expect(await run(["--gpu", "cuda"])).toEqual({
      code: 1,
      said: expect.stringContaining("has no GPU backend cuda"),
    });
    await unsigned({ versions: ["1.1.0"], targets: [`${ownPlatform}-client`] });
    expect((await run(["--gpu", "none"])).said).toContain("runs no models");
    expect(installed()).toBe(greeting("1.1.0"));
  });

  test("says that a release has nothing for this platform, or needs a newer glibc", async () => {
    await unsigned({ targets: ["windows-x64-client"] });
    expect((await run()).said).toContain("has no hutch for");
    if (Bun.which("getconf") === null || process.platform !== "linux") return;
    await unsigned({ neededGlibc: "2.999" });
    expect((await run()).said).toContain("hutch needs glibc 2.999 or newer");
  });

  test("refuses arguments that it does not know", async () => {
    await unsigned();
    expect(await run(["--frob"])).toEqual({
      code: 1,
      said: expect.stringContaining("unknown argument: --frob"),
    });
    expect(await run(["--help"])).toEqual({
      code: 0,
      said: expect.stringContaining("Usage: install.sh"),
    });
  });

  test("does nothing when it was cut off, wherever", async () => {
    const script = await unsigned();
    const whole = readFileSync(script, "utf8");
    const end = whole.lastIndexOf("{ main");
    // Every byte of the last lines, where it would begin to run; elsewhere some hundred places.
    const cuts = [
      ...Array.from({ length: 100 }, (_, i) => Math.floor((i * end) / 100)),
      ...Array.from({ length: whole.trimEnd().length - end }, (_, i) => end + i),
    ];
    const env = { PATH: toolFolder(folder, []), TMPDIR: folder, ...places() };
    for (const at of cuts) {
      const child = Bun.spawn(["sh"], {
        env,
        stdin: new Blob([whole.slice(0, at)]),
        stderr: "ignore",
        stdout: "ignore",
      });
      await child.exited;
    }
    expect(tree(home)).toEqual({});
    const child = Bun.spawn(["sh"], { env, stdin: new Blob([whole]), stderr: "ignore" });
    expect(await child.exited).toBe(0);
    expect(installed()).toBe(greeting("1.0.0"));
  });

  test.skipIf(root)("says that it cannot write, and changes nothing", async () => {
    await unsigned();
    mkdirSync(join(home, "bin"));
    chmodSync(join(home, "bin"), 0o555);
    expect(await run()).toEqual({ code: 1, said: expect.stringContaining("nothing was changed") });
    expect(tree(home)).toEqual({ "bin/": "" });
  });
});

describe.skipIf(!unix || Bun.which("shellcheck") === null)("install.sh and shellcheck", () => {
  test("have nothing to say to each other", () => {
    const script = join(import.meta.dir, "../../install.sh");
    const { stdout, exitCode } = Bun.spawnSync(["shellcheck", script]);
    expect({ said: stdout.toString(), exitCode }).toEqual({ said: "", exitCode: 0 });
  });
});

/** `bun build.ts --release`: the same inputs give the same bytes, and what comes out runs. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { readBuildEnvironment } from "../../scripts/build/environment.ts";
import { sha256 } from "../../scripts/build/files.ts";
import { readManifest } from "../../scripts/build/manifest.ts";
import { Progress } from "../../scripts/build/progress.ts";
import { makeRelease, ReleaseList } from "../../scripts/build/release/release.ts";
import { chooseTargets } from "../../scripts/build/release/targets.ts";
import { cleanEnvironment, temporaryFolder } from "../support/executable.ts";
import { install } from "../support/installing.ts";
import { signingKeyFile } from "../support/signing-key.ts";

const root = resolve(import.meta.dir, "../..");
const libraries = join(root, "dist/lib");
const manifest = existsSync(libraries) ? readManifest(libraries) : undefined;
/** This machine as its libraries see it; tests of the release run where they were built for glibc. */
const host = { platform: process.platform, arch: process.arch, glibc: "glibc" };
const [native] = chooseTargets("native", host);
const usable = manifest !== undefined && native?.platform === "linux";

const contentsOf = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder).map((name) => [
      name,
      sha256(new Uint8Array(readFileSync(join(folder, name)))),
    ]),
  );

describe.skipIf(!usable)("a release", () => {
  test("has the same bytes again, and its executable runs", async () => {
    if (manifest === undefined || native === undefined) throw new Error("skipped");
    await using folder = await temporaryFolder();
    const signingKey = join(folder.path, "key");
    writeFileSync(signingKey, signingKeyFile());
    const progress = new Progress({ write: () => true });
    const make = (name: string) =>
      makeRelease(
        {
          root,
          cache: readBuildEnvironment().cache,
          manifest,
          libraries,
          entry: join(root, "src/main.ts"),
          version: "1.2.3",
          targets: [native],
          demanded: true,
          host,
          signingKey,
          executables: join(folder.path, name, "targets"),
          output: join(folder.path, name, "release"),
        },
        progress,
      );
    const list = await make("one");
    await make("two");
    const release = join(folder.path, "one/release");
    const contents = contentsOf(release);
    expect(contentsOf(join(folder.path, "two/release"))).toEqual(contents);

    const archive = `hutch-1.2.3-${native.name}.tar.gz`;
    expect(Object.keys(contents)).toContainValues([
      archive,
      "SHA256SUMS.minisig",
      "hutch-1.2.3.cdx.json",
    ]);
    expect(Value.Check(ReleaseList, list)).toBe(true);
    expect(list.archives[0]).toEqual({ file: archive, target: native.name, engine: true });
    const sums = readFileSync(join(release, "SHA256SUMS"), "utf8").trimEnd().split("\n");
    const listed = Object.fromEntries(sums.map((line) => line.split("  ").toReversed()));
    const { SHA256SUMS: _, "SHA256SUMS.minisig": __, ...others } = contents;
    expect(listed).toEqual(others);
    expect(readFileSync(join(release, "install.sh"), "utf8")).toMatch(/^public_key='RW.{54}'$/m);

    mkdirSync(join(folder.path, "home"));
    Bun.spawnSync(["tar", "-xzf", join(release, archive)], { cwd: folder.path });
    const unpacked = join(folder.path, `hutch-1.2.3-${native.name}`);
    const run = Bun.spawnSync([join(unpacked, "hutch"), "completion", "bash"], {
      env: cleanEnvironment(join(folder.path, "home")),
    });
    const completion = readFileSync(
      join(unpacked, "share/bash-completion/completions/hutch"),
      "utf8",
    );
    expect(run.stdout.toString()).toBe(completion);
    expect(readFileSync(join(unpacked, "share/man/man1/hutch.1"), "utf8")).toStartWith(
      ".TH HUTCH 1",
    );

    const place = join(folder.path, "bin");
    // Signatures have tests of their own, and this machine may have nothing that checks them.
    const { code, said } = await install(join(release, "install.sh"), ["--no-signature"], {
      env: {
        PATH: process.env.PATH ?? "",
        HUTCH_BASE_URL: `file://${release}`,
        HUTCH_INSTALL_DIR: place,
      },
    });
    expect({ code, said }).toEqual({ code: 0, said: expect.stringContaining("installed: ") });
    const answer = Bun.spawnSync([join(place, "hutch"), "run", "--think=false", "guide", "Hello"], {
      env: cleanEnvironment(join(folder.path, "home"), { OLLAMA_HOST: "" }),
    });
    expect({ code: answer.exitCode, words: answer.stdout.toString().length > 10 }).toEqual({
      code: 0,
      words: true,
    });
  });
});

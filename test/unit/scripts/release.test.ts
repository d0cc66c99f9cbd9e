/** The parts of a release: archives, signature, bill of materials, targets. */
import { describe, expect, test } from "bun:test";
import { createPublicKey, verify } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { BuildError } from "../../../scripts/build/failure.ts";
import { tarGz } from "../../../scripts/build/release/archive.ts";
import { gpuFiles, neededGlibc } from "../../../scripts/build/release/contents.ts";
import { minisign, readSigningKey } from "../../../scripts/build/release/minisign.ts";
import { Bom, Lockfile, sbom } from "../../../scripts/build/release/sbom.ts";
import { chooseTargets, runsLibrariesOf, targets } from "../../../scripts/build/release/targets.ts";
import { signingKeyFile } from "../../support/signing-key.ts";

const root = resolve(import.meta.dir, "../../..");

describe("archives", () => {
  const files = [
    { path: "hutch-1/share/b", data: "text" },
    { path: "hutch-1/a", data: new Uint8Array([1, 2, 3]), executable: true },
  ];

  test("depend on their contents alone, in whatever order they come", async () => {
    const bytes = await tarGz(files);
    expect(Bun.hash(await tarGz(files.toReversed()))).toBe(Bun.hash(bytes));
    // No time in the gzip header.
    expect([...bytes.subarray(4, 8)]).toEqual([0, 0, 0, 0]);
  });

  test("unpack by tar, with folders, modes and nobody's name", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hutch-release-"));
    try {
      writeFileSync(join(folder, "x.tar.gz"), await tarGz(files));
      const listed = Bun.spawnSync(["tar", "-tvzf", "x.tar.gz"], {
        cwd: folder,
        env: { TZ: "UTC", PATH: process.env.PATH ?? "" },
      });
      expect(
        listed.stdout
          .toString()
          .split("\n")
          .map((line) => line.split(/\s+/).filter((part) => part !== "")),
      ).toEqual([
        ["drwxr-xr-x", "0/0", "0", "1980-01-01", "00:00", "hutch-1/"],
        ["-rwxr-xr-x", "0/0", "3", "1980-01-01", "00:00", "hutch-1/a"],
        ["drwxr-xr-x", "0/0", "0", "1980-01-01", "00:00", "hutch-1/share/"],
        ["-rw-r--r--", "0/0", "4", "1980-01-01", "00:00", "hutch-1/share/b"],
        [],
      ]);
      Bun.spawnSync(["tar", "-xzf", "x.tar.gz"], { cwd: folder });
      expect(readFileSync(join(folder, "hutch-1/share/b"), "utf8")).toBe("text");
      expect(statSync(join(folder, "hutch-1/a")).mode & 0o777).toBe(0o755);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("signatures", () => {
  const key = readSigningKey(signingKeyFile(), "the test's key");

  test("verify as minisign verifies them: the file's hash, then signature and comment", () => {
    const data = Buffer.from("sums");
    const lines = minisign(data, key, "hutch 1").split("\n");
    const publicBytes = Buffer.from(key.publicKey, "base64");
    const der = Buffer.concat([
      Buffer.from("302a300506032b6570032100", "hex"),
      publicBytes.subarray(10),
    ]);
    const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
    const signature = Buffer.from(lines[1] ?? "", "base64");
    expect(signature.subarray(0, 10)).toEqual(
      Buffer.concat([Buffer.from("ED"), publicBytes.subarray(2, 10)]),
    );
    const hash = new Bun.CryptoHasher("blake2b512").update(data).digest();
    expect(verify(null, hash, publicKey, signature.subarray(10))).toBe(true);
    expect(lines[2]).toBe("trusted comment: hutch 1");
    const whole = Buffer.concat([signature.subarray(10), Buffer.from("hutch 1")]);
    expect(verify(null, whole, publicKey, Buffer.from(lines[3] ?? "", "base64"))).toBe(true);
  });

  test("need a key without a password", () => {
    expect(() => readSigningKey("untrusted comment: x\nAAAA\n", "F")).toThrow(
      "F: no secret key of minisign",
    );
    const bytes = Buffer.from(signingKeyFile().split("\n")[1] ?? "", "base64");
    bytes.write("Sc", 2, "latin1");
    expect(() => readSigningKey(bytes.toString("base64"), "F")).toThrow(BuildError);
    expect(() => readSigningKey(bytes.toString("base64"), "F")).toThrow("password");
  });
});

describe("the bill of materials", () => {
  const input = {
    version: "1.2.3",
    license: "MIT",
    bun: "1.4.5",
    pin: { version: "v1", commit: "abc", bundleSha256: "00" },
    cargoLock:
      '[[package]]\nname = "own"\nversion = "0.1.0"\n\n[[package]]\nname = "serde"\nversion = "1.0.0"\nchecksum = "ab"\n',
    lockfile: {
      packages: {
        "": { dependencies: { a: "1" } },
        "node_modules/a": { version: "1.0.0", license: "MIT", dependencies: { b: "2", c: "1" } },
        "node_modules/a/node_modules/b": {
          version: "2.0.0",
          integrity: "sha512-AAE=",
          dependencies: { c: "1" },
        },
        "node_modules/b": { version: "1.0.0" },
        "node_modules/@s/c": { version: "9.0.0" },
        "node_modules/c": { version: "3.0.0" },
        "node_modules/a/node_modules/only-for-tests": { version: "1.0.0" },
      },
    },
  };

  test("has what the executable is made of, found as Node finds it", () => {
    const bom = sbom(input);
    expect(Value.Check(Bom, bom)).toBe(true);
    expect(bom.components.map(({ purl }) => purl)).toEqual([
      "pkg:cargo/serde@1.0.0",
      "pkg:github/ggml-org/llama.cpp@abc",
      "pkg:github/oven-sh/bun@bun-v1.4.5",
      "pkg:npm/a@1.0.0",
      "pkg:npm/b@2.0.0",
      "pkg:npm/c@3.0.0",
    ]);
    expect(bom.components.find(({ name }) => name === "b")?.hashes).toEqual([
      { alg: "SHA-512", content: "0001" },
    ]);
    expect(sbom(input)).toEqual(bom);
    expect(sbom({ ...input, version: "2" }).serialNumber).not.toBe(bom.serialNumber);
  });

  test("of this checkout lists every package once, and no tool of the build", () => {
    const text = (name: string) => readFileSync(join(root, name), "utf8");
    const lockfile = Value.Decode(Lockfile, JSON.parse(text("package-lock.json")));
    const bom = sbom({ ...input, lockfile, cargoLock: text("ffi/llguidance/Cargo.lock") });
    const purls = bom.components.map(({ purl }) => purl);
    expect(new Set(purls).size).toBe(purls.length);
    const names = bom.components.map(({ name }) => name);
    const { dependencies } = JSON.parse(text("package.json")) as { dependencies: object };
    expect(names).toContainValues([...Object.keys(dependencies), "llguidance", "llama.cpp"]);
    expect(names).not.toContainAnyValues(["typescript", "@biomejs/biome", "cmake-js"]);
  });
});

describe("targets", () => {
  const host = { platform: "linux", arch: "x64", glibc: "glibc 2.36" };

  test("are all, this machine's, or named ones", () => {
    const names = (text: string) => chooseTargets(text, host).map(({ name }) => name);
    expect(names("all")).toHaveLength(targets.length);
    expect(names("native")).toEqual(["linux-x64"]);
    expect(names("windows-x64, linux-arm64")).toEqual(["windows-x64", "linux-arm64"]);
    expect(() => names("linux-x64,amiga")).toThrow('"amiga" is none of');
  });

  test("run only the libraries of their own system, processor and C library", () => {
    const running = (one: Parameters<typeof runsLibrariesOf>[1]) =>
      targets.filter((target) => runsLibrariesOf(target, one)).map(({ name }) => name);
    expect(running(host)).toEqual(["linux-x64"]);
    expect(running({ ...host, glibc: undefined })).toEqual(["linux-x64-musl"]);
    expect(running({ platform: "darwin", arch: "arm64", glibc: undefined })).toEqual([
      "darwin-arm64",
    ]);
  });
});

describe("libraries", () => {
  test("of GPU backends are sorted by kind", () => {
    const folder = mkdtempSync(join(tmpdir(), "hutch-release-"));
    try {
      const names = ["libggml-cuda.so", "libggml-vulkan.so", "libggml-base.so"];
      for (const name of names) writeFileSync(join(folder, name), name);
      const found = gpuFiles(names, folder, "hutch-1");
      expect([...found.keys()]).toEqual(["cuda", "vulkan"]);
      expect(found.get("cuda")?.map(({ path }) => path)).toEqual(["hutch-1/libggml-cuda.so"]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("tell which glibc they need", () => {
    const bytes = (text: string) => new TextEncoder().encode(text);
    expect(neededGlibc([bytes("\0GLIBC_2.9\0GLIBC_2.34\0"), bytes("GLIBC_2.17")])).toBe("2.34");
    expect(neededGlibc([bytes("nothing")])).toBeUndefined();
  });
});

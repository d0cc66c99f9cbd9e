/** What `npm start` and `npm test` do before anything is installed. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isInstalled } from "../../../scripts/setup/install.mjs";
import { readReport } from "../../../scripts/setup/report.mjs";
import { ask, isFree } from "../../../scripts/setup/server.mjs";
import { Failure } from "../../../scripts/setup/steps.mjs";
import { atLeast, checkTools } from "../../../scripts/setup/tools.mjs";

describe("checkTools", () => {
  const tool = (name: string, found: boolean) => ({
    name,
    found: () => found,
    packages: {
      debian: `d-${name}`,
      fedora: `f-${name}`,
      macos: `m-${name}`,
      windows: `w-${name}`,
    },
  });

  test("names all that is missing in one message, with the commands of four systems", () => {
    const tools = [tool("git", true), tool("cmake", false), tool("ninja", false)];
    expect(() => checkTools(tools)).toThrow(
      new Failure(
        `These tools are missing:
  - cmake
  - ninja

Install them with
  Debian, Ubuntu:  sudo apt-get install d-cmake d-ninja
  Fedora:          sudo dnf install f-cmake f-ninja
  macOS:           brew install m-cmake m-ninja
  Windows:         winget install w-cmake w-ninja`,
      ),
    );
  });

  test("gives one command for Debian, also where Rust has no package", () => {
    const rust = {
      ...tool("rust", false),
      packages: { ...tool("rust", false).packages, debian: "rustup" },
    };
    const failure = () => checkTools([tool("cmake", false), rust]);
    expect(failure).toThrow(
      "  Debian, Ubuntu:  sudo apt-get install d-cmake && { sudo apt-get install rustup && rustup default stable || curl -sSf https://sh.rustup.rs | sh -s -- -y; }\n",
    );
  });

  test("is content when all is there", () => {
    expect(checkTools([tool("git", true)])).toBeUndefined();
  });

  test.each([
    ["cmake version 3.25.1", 3, 18, true],
    ["cmake version 3.9.0", 3, 18, false],
    ["rustc 2.0.0", 1, 87, true],
    ["rustc 1.63.0", 1, 87, false],
    [undefined, 1, 0, false],
  ] as const)("%p is at least %d.%d: %p", (text, major, minor, expected) => {
    expect(atLeast(text, major, minor)).toBe(expected);
  });
});

describe("isInstalled", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "hutch-install-"));
    mkdirSync(join(folder, "node_modules"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (wanted: object, present: object): void => {
    writeFileSync(join(folder, "package-lock.json"), JSON.stringify({ packages: wanted }));
    const record = join(folder, "node_modules", ".package-lock.json");
    writeFileSync(record, JSON.stringify({ packages: present }));
  };
  const a = { "node_modules/a": { version: "1.0.0", integrity: "x" } };
  const other = { "node_modules/b": { version: "1.0.0", integrity: "y", optional: true } };

  test.each([
    ["what the lockfile names", { "": {}, ...a }, a, true],
    ["all but optional packages of other systems", { ...a, ...other }, a, true],
    ["another version", a, { "node_modules/a": { version: "2.0.0", integrity: "x" } }, false],
    ["other contents", a, { "node_modules/a": { version: "1.0.0", integrity: "z" } }, false],
    ["nothing", a, {}, false],
  ])("node_modules that hold %s", (_, wanted, present, expected) => {
    write(wanted, present);
    expect(isInstalled(folder)).toBe(expected);
  });

  test("no node_modules", () => {
    write(a, a);
    rmSync(join(folder, "node_modules"), { recursive: true });
    expect(isInstalled(folder)).toBe(false);
  });
});

test("readReport counts by the sums of the report", () => {
  const xml = `<?xml version="1.0"?>
<testsuites name="bun test" tests="20" assertions="41" failures="2" skipped="3" time="0.1">
  <testsuite name="a" tests="20" failures="2" skipped="3"></testsuite></testsuites>`;
  expect(readReport(xml)).toEqual({ passed: 15, failed: 2, skipped: 3 });
  expect(readReport("")).toEqual({ passed: 0, failed: 0, skipped: 0 });
});

test("isFree tells a port that somebody listens on from one that nobody does", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  expect(await isFree(port)).toBe(false);
  await new Promise((resolve) => server.close(resolve));
  expect(await isFree(port)).toBe(true);
});

describe("ask", () => {
  const answering = (lines: readonly string[]) =>
    Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(lines.join("\n")) });
  const piece = (content: string, done = false) => JSON.stringify({ message: { content }, done });

  async function answerOf(lines: readonly string[]): Promise<string> {
    await using server = answering(lines);
    let text = "";
    await ask(server.url.origin, "guide", "?", (part: string) => {
      text += part;
    });
    return text;
  }

  test("hands on the pieces of the answer", async () => {
    expect(await answerOf([piece("Hel"), piece("lo"), piece("", true), ""])).toBe("Hello");
  });

  test("fails with the server's error", async () => {
    await expect(answerOf([piece("Hel"), '{"error":"out of luck"}'])).rejects.toThrow(
      new Failure("The server answered: out of luck"),
    );
  });

  test("fails when the answer is cut off", async () => {
    await expect(answerOf([piece("Hel")])).rejects.toThrow(
      new Failure("The answer ended before it was complete."),
    );
  });
});

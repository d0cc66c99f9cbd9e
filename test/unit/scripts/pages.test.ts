/** What the pages mention exists: links, commands and flags, variables, metrics, texts of errors. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { commands } from "../../../src/cli/commands.ts";
import { variables } from "../../../src/config/variables.ts";
import { createMetrics } from "../../../src/server/operations/metrics.ts";
import {
  anchorsOf,
  blocksOf,
  codeOf,
  linksOf,
  pages,
  pageText,
  root,
} from "../../support/documents.ts";

/** The code of folders as one text. */
function codeIn(folders: string): string {
  const files = new Bun.Glob(`{${folders}}/**/*.{ts,cpp,rs,mjs,sh}`).scanSync({ cwd: root });
  return [...files].map((file) => readFileSync(join(root, file), "utf8")).join("\n");
}

const source = codeIn("src,ffi");
const everything = `${source}${codeIn("scripts,test")}${readFileSync(join(root, "install.sh"))}`;

/** Command lines of hutch in a page: in blocks for shells and in running text. */
function commandLines(page: string): string[] {
  const shells = ["sh", "bash", "yaml"];
  const blocks = blocksOf(page).filter(({ language }) => shells.includes(language));
  const texts = [...blocks.map(({ text }) => text), ...codeOf(page)];
  return texts.flatMap((text) =>
    text
      .replace(/\\\n/g, " ")
      .split("\n")
      .flatMap((line) => [...line.matchAll(/(?:^|[\s$(;|])hutch ([a-z_][^|;>#)]*)/g)])
      .map(([, words = ""]) => words.trim()),
  );
}

/** Commands that hutch gives itself: its child processes. */
const ownChildren = ["runner", "worker"];

function unknownIn(line: string): string | undefined {
  const [name = "", ...words] = line.split(/\s+/);
  if (name === "help" || ownChildren.includes(name)) return undefined;
  const command = commands.find((one) => one.name === name || one.aliases?.includes(name));
  if (command === undefined) return `hutch ${line}: no command ${name}`;
  const flags = words.flatMap((word) => /^--([a-z-]+)/.exec(word)?.[1] ?? []);
  const known = (flag: string) => flag === "help" || command.flags.some((one) => one.name === flag);
  const wrong = flags.find((flag) => !known(flag));
  return wrong === undefined ? undefined : `hutch ${line}: no flag --${wrong}`;
}

describe.each([...pages])("%s", (page) => {
  test("links lead somewhere", () => {
    const broken = linksOf(page).filter((href) => {
      if (/^[a-z]+:/.test(href)) return false;
      const [path = "", anchor] = href.split("#");
      const target = path === "" ? page : normalize(join(dirname(page), path));
      if (!existsSync(join(root, target))) return true;
      return anchor !== undefined && !anchorsOf(target).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  test("commands and flags exist", () => {
    expect(commandLines(page).map(unknownIn).filter(Boolean)).toEqual([]);
  });

  test("variables exist", () => {
    const named = pageText(page).matchAll(/\bHUTCH_([A-Z][A-Z_]*[A-Z])\b/g);
    const missing = [...named].flatMap(([whole, name = ""]) =>
      Object.hasOwn(variables, name) || everything.includes(whole) ? [] : [whole],
    );
    expect(missing).toEqual([]);
  });
});

test("docs/operations.md explains every metric, and no other", () => {
  const page = pageText("docs/operations.md");
  const told = new Set([...page.matchAll(/`(hutch_\w+)/g)].map(([, name]) => name));
  const kept = createMetrics(() => [])
    .page()
    .matchAll(/^# TYPE (\w+)/gm);
  expect([...told].toSorted()).toEqual([...kept].map(([, name]) => name).toSorted());
});

test("every page of docs is in the index", () => {
  const linked = linksOf("docs/README.md").map((href) => `docs/${href.split("#")[0]}`);
  const own = pages.filter((page) => page.startsWith("docs/") && page !== "docs/README.md");
  expect(own.filter((page) => !linked.includes(page))).toEqual([]);
});

describe("docs/troubleshooting.md", () => {
  /** Headings quote an error; `…` stands for what differs. */
  const quoted = [...pageText("docs/troubleshooting.md").matchAll(/^### `(.+)`$/gm)].map(
    ([, text = ""]) => text,
  );

  test("quotes many errors", () => {
    expect(quoted.length).toBeGreaterThan(20);
  });

  test.each(quoted)("%s is said by the code", (text) => {
    const parts = text
      .split("…")
      .map((part) => part.trim())
      .filter((part) => part.length > 3);
    expect(parts.length).toBeGreaterThan(0);
    expect(parts.filter((part) => !source.includes(part))).toEqual([]);
  });
});

/** What a shell is told may come next, and that the scripts work in it; the man page. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { commands } from "../../../src/cli/commands.ts";
import { complete } from "../../../src/cli/completion/candidates.ts";
import { completionScripts } from "../../../src/cli/completion/scripts.ts";
import { manPage } from "../../../src/cli/man.ts";
import { temporaryFolder } from "../../support/executable.ts";

const models = ["guide", "mine:v1", "mine:v2"];

function texts(...words: string[]) {
  const { candidates, files } = complete(commands, words, models);
  return files
    ? [...candidates.map(({ text }) => text), ":files"]
    : candidates.map(({ text }) => text);
}

describe("candidates", () => {
  const cases: readonly (readonly [string[], string[]])[] = [
    [["s"], ["serve", "show", "stop", "signin", "signout", "schema"]],
    [["--v"], ["--version"]],
    [["help", "cr"], ["create"]],
    [["run", ""], models],
    [
      ["run", "mine:"],
      ["mine:v1", "mine:v2"],
    ],
    [["run", "guide", ""], []],
    [["run", "--verbose", "g"], ["guide"]],
    [["run", "--system", "be kind", "g"], ["guide"]],
    [["run", "--out"], ["--output"]],
    [
      ["run", "--output", ""],
      ["text", "json", "ndjson"],
    ],
    [["run", "--output=n"], ["--output=ndjson"]],
    [
      ["run", "--think=m"],
      ["--think=medium", "--think=max"],
    ],
    [["run", "--hidet"], ["--hidethinking"]],
    [["create", "mine", "-f", ""], [":files"]],
    [
      ["rm", "guide", "mine"],
      ["mine:v1", "mine:v2"],
    ],
    [["cp", "guide", "new", ""], []],
    [["ls", "gui"], ["guide"]],
    [["nosuch", ""], []],
  ];
  for (const [words, expected] of cases) {
    test(words.join(" "), () => expect(texts(...words)).toEqual(expected));
  }

  test("each flag of each command is offered", () => {
    for (const command of commands) {
      const offered = texts(command.name, "-").map((text) => text.replace("=", ""));
      expect(offered).toEqual([...command.flags.map(({ name }) => `--${name}`), "--help"]);
    }
  });
});

test("bash completes names with colons and values behind =", async () => {
  await using folder = await temporaryFolder();
  const program = join(folder.path, "hutch");
  const answer = "#!/bin/sh\nprintf 'mine:v1\\tmodel\\nmine:v2\\tmodel\\n'\n";
  await Bun.write(program, answer);
  const script = `${completionScripts.bash}
chmod +x '${program}'
COMP_LINE='hutch run mine:' COMP_POINT=15
compopt() { :; }
_hutch
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const child = Bun.spawn(["bash", "--norc", "-c", script], {
    env: { ...process.env, PATH: `${folder.path}:${process.env.PATH}` },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect({ out, err }).toEqual({ out: "v1\nv2\n", err: "" });
});

test("the man page names every listed command and flag, and no line of text is taken for a request", () => {
  const page = manPage(commands);
  for (const { name, flags, hidden } of commands) {
    if (hidden) continue;
    expect(page).toContain(`"hutch ${name}`);
    for (const flag of flags) expect(page).toContain(`\\-\\-${flag.name.replaceAll("-", "\\-")}`);
  }
  const requests = page.split("\n").filter((line) => line.startsWith("."));
  expect([...new Set(requests.map((line) => line.split(" ")[0]))].sort()).toEqual(
    [".PP", ".RE", ".RS", ".SH", ".SS", ".TH", ".TP", ".fi", ".nf"].sort(),
  );
});

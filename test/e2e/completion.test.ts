/** Completion in real shells, in a terminal: what Tab puts on the line. Skipped where a shell is not here. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { executable, haveExecutable, startServer, type TestServer } from "../support/executable.ts";
import { openTerminal, type TerminalSession } from "../support/terminal.ts";

/** How a shell is started in a home that has its completion, and what its prompt is. */
interface Shell {
  readonly command: readonly string[];
  readonly setUp: (home: string) => void;
}

const prompt = "ready> ";

const shells: Readonly<Record<string, Shell>> = {
  bash: {
    command: ["bash", "--noprofile", "-i"],
    setUp: (home) =>
      writeFileSync(join(home, ".bashrc"), `PS1='${prompt}'\neval "$(hutch completion bash)"\n`),
  },
  zsh: {
    command: ["zsh", "-i"],
    setUp: (home) => {
      const lines = [
        "unsetopt GLOBAL_RCS",
        "autoload -Uz compinit && compinit -u -D",
        'eval "$(hutch completion zsh)"',
        "unsetopt PROMPT_SP",
        `PROMPT='${prompt}'`,
      ];
      writeFileSync(join(home, ".zshrc"), `${lines.join("\n")}\n`);
    },
  },
  fish: {
    command: ["fish", "-i"],
    setUp: (home) => {
      const folder = join(home, ".config/fish");
      mkdirSync(join(folder, "completions"), { recursive: true });
      const { stdout } = Bun.spawnSync([executable, "completion", "fish"]);
      writeFileSync(join(folder, "completions/hutch.fish"), stdout);
      const lines = [
        "set -U fish_greeting",
        `function fish_prompt; echo -n '${prompt}'; end`,
        "set -g fish_autosuggestion_enabled 0",
      ];
      writeFileSync(join(folder, "config.fish"), `${lines.join("\n")}\n`);
    },
  },
};

describe.skipIf(!haveExecutable).each(Object.entries(shells))("%s", (name, shell) => {
  const here = Bun.which(name) !== null;
  let server: TestServer;
  let session: TerminalSession;

  beforeAll(async () => {
    if (!here) return;
    server = await startServer();
    await server.post("/api/show", { model: "guide" });
    await server.post("/api/copy", { source: "guide", destination: "mine:v1" });
    const bin = join(server.home, "bin");
    mkdirSync(bin);
    symlinkSync(executable, join(bin, "hutch"));
    const env = {
      PATH: `${bin}:${process.env.PATH}`,
      HUTCH_HOST: server.url,
      ZDOTDIR: server.home,
    };
    shell.setUp(server.home);
    session = openTerminal(shell.command, { home: server.home, env, columns: 200 });
    await session.shows(prompt);
  });
  afterAll(async () => {
    await session?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  /** Types a beginning and Tab, waits for the rest of the word, and empties the line. */
  async function completes(typed: string, rest: string): Promise<void> {
    const plain = typed.split(" ").at(-1) ?? "";
    session.write(typed);
    await session.shows(plain.split("\t").at(-1) ?? "");
    session.write("\t");
    await session.shows(rest);
    session.write("\x15\r");
    await session.shows(prompt);
  }

  test.skipIf(!here)("commands, flags, their values, models, files", async () => {
    await completes("hutch ser", "ve");
    await completes("hutch run --hideth", "inking");
    await completes("hutch run --output nd", "json");
    await completes("hutch run --think=hi", "gh");
    await completes("hutch run --hidethi\t --think\thi", "gh");
    await completes("hutch run gui", "de");
    await completes("hutch rm mine:", "v1");
    writeFileSync(join(server.home, "Modelfile.txt"), "");
    await completes("hutch create x -f Modelf", "ile.txt");
    expect(session.raw()).not.toMatch(/error|not found/i);
  });
});

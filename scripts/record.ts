/**
 * `bun scripts/record.ts`: the picture in the README. Commands are typed to dist/hutch in a real terminal;
 * what the screen shows in the end becomes an SVG whose lines appear one after the other. Nothing in it is
 * drawn by hand, and nothing depends on time: the same executable on the same machine gives the same file.
 */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Terminal } from "@xterm/headless";
import { executable, temporaryFolder } from "../test/support/executable.ts";
import { openTerminal } from "../test/support/terminal.ts";
import { writeAtomic } from "./build/files.ts";
import { type Row, type Run, terminalSvg } from "./terminal-svg.ts";

const columns = 92;
const rows = 30;
const prompt = "$ ";

const schema = {
  type: "object",
  properties: { name: { type: "string", maxLength: 12 }, age: { type: "integer", maximum: 9 } },
  required: ["name", "age"],
  additionalProperties: false,
};

const commands = [
  'hutch run guide --seed 1 "How do I make a model of my own?"',
  'hutch run guide --seed 1 --hidethinking --format pet.json "Invent a pet"',
  'hutch schema check pet.json \'{"name": "Rex", "age": 30}\' || echo "exit code $?"',
  "hutch show guide | head -9",
];

/** The text that was written to a terminal, as its screen shows it. */
async function screenOf(raw: string): Promise<Terminal> {
  const terminal = new Terminal({ cols: columns, rows, allowProposedApi: true });
  await new Promise<void>((resolve) => terminal.write(raw, resolve));
  return terminal;
}

/** A line of the screen as pieces of one look. */
function runsOf(terminal: Terminal, y: number): Run[] {
  const line = terminal.buffer.active.getLine(y);
  const runs: { text: string; column: number; dim: boolean; bold: boolean }[] = [];
  for (let x = 0; x < columns; x++) {
    const cell = line?.getCell(x);
    const text = cell?.getChars() || " ";
    const dim = cell?.isDim() !== 0 || cell?.getFgColor() === 8;
    const bold = cell?.isBold() !== 0;
    const last = runs.at(-1);
    if (last !== undefined && last.dim === dim && last.bold === bold) last.text += text;
    else runs.push({ text, column: x, dim, bold });
  }
  const used = runs.map((run) => ({ ...run, text: run.text.trimEnd() }));
  return used.filter(({ text }) => text !== "");
}

await using home = await temporaryFolder();
const bin = join(home.path, "bin");
mkdirSync(bin);
symlinkSync(executable, join(bin, "hutch"));
writeFileSync(join(home.path, ".bashrc"), `PS1='${prompt}'\n`);
writeFileSync(join(home.path, "pet.json"), JSON.stringify(schema));
await using session = openTerminal(["bash", "--noprofile", "-i"], {
  home: home.path,
  env: { PATH: `${bin}:${process.env.PATH}`, HUTCH_MODELS: join(home.path, "models") },
  columns,
  rows,
});
await session.shows(prompt);
for (const command of commands) {
  session.write(`${command}\r`);
  await session.shows("\n");
  await session.shows(/(?:^|[\r\n])[^\r\n]*\$ $/);
}
const terminal = await screenOf(session.raw());
const last = terminal.buffer.active.cursorY;
if (terminal.buffer.active.baseY > 0) throw new Error("the screen is too small for what is shown");
const picture: Row[] = Array.from({ length: last }, (_, y) => {
  const runs = runsOf(terminal, y);
  const typed = runs[0]?.text.startsWith(prompt) === true;
  return { runs, typed };
});
const file = join(import.meta.dir, "../docs/images/terminal.svg");
mkdirSync(join(file, ".."), { recursive: true });
writeAtomic(file, terminalSvg(picture, columns, "hutch in a terminal"));
console.log(file);

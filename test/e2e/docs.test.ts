/**
 * Every block of the pages is run as a reader would: in a home of its own, with `hutch` on the PATH and a
 * server at 127.0.0.1:11434 (another port in truth). One block after the other, so that what an earlier
 * one wrote is there. Blocks that cannot be run here say why, in a comment before them.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { checkBlock, yamlOf } from "../support/block-checks.ts";
import { type Block, blocksOf, pages, root } from "../support/documents.ts";
import {
  cleanEnvironment,
  executable,
  haveExecutable,
  startServer,
  type TestServer,
  until,
} from "../support/executable.ts";
import { pythonWith } from "../support/python.ts";

const limitMs = 60_000;

const pythonClient = haveExecutable
  ? pythonWith("ollama==0.6.3")
  : { python: undefined, missing: "no executable" };

function freePort(): number {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const { port } = server;
  void server.stop(true);
  return port ?? 0;
}

/** What a page's blocks share. */
interface World {
  readonly server: TestServer;
  readonly folder: string;
  readonly env: Record<string, string>;
  /** Stand-ins for the ports that pages name. */
  readonly ports: Map<string, string>;
  readonly endless: { kill(signal: NodeJS.Signals): void; readonly exited: Promise<number> }[];
  /** What the last block printed. */
  output: string;
}

async function openWorld(): Promise<World> {
  const server = await startServer();
  // Inside the checkout, so that scripts find the client's package.
  const parent = join(root, "node_modules/.cache");
  mkdirSync(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, "docs-"));
  const bin = join(server.home, "bin");
  mkdirSync(bin);
  symlinkSync(executable, join(bin, "hutch"));
  // An error's status is an error of the command.
  await writeFile(join(server.home, ".curlrc"), "fail-with-body\n");
  const host = server.url.replace("http://", "");
  const env = cleanEnvironment(server.home, {
    PATH: `${bin}:${process.env.PATH}`,
    HUTCH_HOST: host,
    OLLAMA_HOST: host,
    GITHUB_OUTPUT: join(server.home, "github-output"),
    CI_PROJECT_DIR: folder,
  });
  return { server, folder, env, ports: new Map([["11434", host]]), endless: [], output: "" };
}

async function closeWorld({ server, folder, endless }: World): Promise<void> {
  for (const child of endless) {
    child.kill("SIGINT");
    await child.exited;
  }
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}

/** The text with this world's addresses. */
function placed({ ports }: World, text: string): string {
  return text.replace(/127\.0\.0\.1:(1143\d)/g, (_, port: string) => {
    if (!ports.has(port)) ports.set(port, `127.0.0.1:${freePort()}`);
    return ports.get(port) ?? "";
  });
}

async function run(world: World, command: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn(command, {
    cwd: world.folder,
    env: { ...world.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: limitMs,
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect(await child.exited, `${command.at(-1)}\n${out}${err}`).toBe(0);
  world.output = out;
}

/** Starts what runs until it is stopped, and waits until a server tells its address, or a table comes. */
async function start(world: World, text: string): Promise<void> {
  let said = "";
  const child = Bun.spawn(["sh", "-ec", `exec ${text}`], {
    cwd: world.folder,
    // A server of its own, not the page's.
    env: /\bhutch serve\b/.test(text) ? { ...world.env, HUTCH_HOST: "127.0.0.1:0" } : world.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  world.endless.push(child);
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const chunk of stream) said += new TextDecoder().decode(chunk);
  };
  void read(child.stdout);
  void read(child.stderr);
  await until(`${text} is up`, () => {
    if (child.exitCode !== null) throw new Error(`${text} ended: ${said}`);
    return /(Listening on |^http:\/\/)127\.0\.0\.1:\d+|^NAME /m.test(said);
  });
}

/** The commands that a pipeline's description runs, with what it sets for them. */
function pipelineSteps(text: string): { command: string; env: Record<string, string> }[] {
  const found: { command: string; env: Record<string, string> }[] = [];
  const walk = (value: unknown, env: Record<string, string>): void => {
    if (Array.isArray(value)) for (const item of value) walk(item, env);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return;
    const { run: step, script, env: more, variables, ...rest } = value as Record<string, unknown>;
    const inner = { ...env, ...(more as object), ...(variables as object) };
    const steps = [step, ...(Array.isArray(script) ? script : [script])];
    for (const command of steps)
      if (typeof command === "string") found.push({ command, env: inner });
    for (const item of Object.values(rest)) walk(item, inner);
  };
  for (const document of yamlOf(text)) walk(document, {});
  return found;
}

/** Anything where the text has `…`. */
function pattern(text: string): RegExp {
  const literal = text.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${literal.join("[^]*?")}$`);
}

type Runner = (world: World, text: string) => Promise<void>;

const runners: Readonly<Record<string, Runner>> = {
  sh: (world, text) => run(world, ["sh", "-ec", text]),
  bash: (world, text) => run(world, ["bash", "-ec", text]),
  zsh: (world, text) => run(world, ["zsh", "-ec", text]),
  fish: (world, text) => run(world, ["fish", "-c", text]),
  js: async (world, text) => {
    await writeFile(join(world.folder, "block.js"), text);
    await run(world, [process.execPath, "block.js"]);
  },
  python: (world, text) => run(world, [pythonClient.python ?? "", "-c", text]),
  yaml: async (world, text) => {
    for (const { command, env } of pipelineSteps(text)) {
      const set = Object.entries(env).map(([name, value]) => {
        const plain = String(value).replace("$CI_PROJECT_DIR", world.folder);
        return [name, plain] as const;
      });
      await run(world, ["sh", "-ec", command], Object.fromEntries(set));
    }
  },
};

/** Why a block cannot be run on this machine. */
function missing({ language }: Block): string | undefined {
  if (language === "python") return pythonClient.missing || undefined;
  const program = ["bash", "zsh", "fish"].find((shell) => shell === language);
  return program !== undefined && Bun.which(program) === null
    ? `${program} is not here`
    : undefined;
}

async function runBlock(world: World, block: Block): Promise<void> {
  const text = placed(world, block.text);
  if (block.word === "output") {
    expect(world.output.trimEnd()).toMatch(pattern(text.trimEnd()));
    return;
  }
  if (block.word !== "") {
    const file = join(world.folder, block.word);
    mkdirSync(dirname(file), { recursive: true });
    await writeFile(file, `${text}\n`);
  }
  if (block.endless) return await start(world, text);
  // What is no program is checked for its form, and is there for the blocks that follow.
  await runners[block.language]?.(world, text);
}

describe.skipIf(!haveExecutable).each([...pages])("%s", (page) => {
  const blocks = blocksOf(page);
  let world: World;
  beforeAll(async () => {
    if (blocks.some(({ notRun }) => notRun === undefined)) world = await openWorld();
  });
  afterAll(async () => {
    if (world !== undefined) await closeWorld(world);
  });

  for (const block of blocks) {
    const why = block.notRun ?? (haveExecutable ? missing(block) : undefined);
    const name = `line ${block.line}, ${block.language}${why === undefined ? "" : `: ${why}`}`;
    test(`${name}: well-formed`, () => checkBlock(block));
    test.skipIf(why !== undefined)(`${name}: runs`, () => runBlock(world, block), limitMs * 2);
  }
});

test("every page is there", () => {
  expect(pages.filter((page) => !existsSync(join(root, page)))).toEqual([]);
});

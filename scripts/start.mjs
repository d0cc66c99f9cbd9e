/**
 * `npm start`: from a clone to a streamed answer. Installs, builds, serves, asks the model that every
 * hutch carries one question over HTTP, and serves until Ctrl-C. With `--once "question"` it ends
 * after the answer. Needs nothing but Node; every step is skipped when its inputs have not changed.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bun, installPackages } from "./setup/install.mjs";
import { ask, defaultPort, isFree, startServer } from "./setup/server.mjs";
import { Failure, run, runMain, say, step } from "./setup/steps.mjs";
import { checkTools } from "./setup/tools.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const executable = join(root, "dist", process.platform === "win32" ? "hutch.exe" : "hutch");
const model = "guide";

const help = `Usage: npm start -- [flags]

  --once ["question"]   end after the answer
  --dev                 build for this machine's CPU alone, which is faster
  --help                this text
`;

function parse(args) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { once: { type: "boolean" }, dev: { type: "boolean" }, help: { type: "boolean" } },
    });
    if (positionals.length > 1 || (positionals.length === 1 && !values.once)) {
      throw new Error(`"${positionals.at(-1)}" is not expected`);
    }
    return { ...values, question: positionals[0] ?? "What is hutch?" };
  } catch (error) {
    throw new Failure(`${error.message}\n\n${help}`);
  }
}

async function main(args) {
  const options = parse(args);
  if (options.help) {
    process.stdout.write(help);
    return 0;
  }
  await step(1, 4, "Tools", checkTools);
  await step(2, 4, "Packages", installPackages);
  await step(3, 4, "Build", async () => {
    const flags = options.dev ? ["--dev"] : [];
    const { code } = await run(bun, [join(root, "build.ts"), ...flags], { cwd: root });
    if (code !== 0) throw new Failure("The build failed, see above.");
  });
  const useDefault = !options.once && (await isFree(defaultPort));
  if (!options.once && !useDefault) say(`    port ${defaultPort} is taken, using a free one`);
  let server;
  await step(4, 4, "Server", async () => {
    server = await startServer(executable, useDefault ? defaultPort : 0);
    return server.url;
  });
  const stop = stopOnSignals(server);
  try {
    await converse(server, options);
    if (options.once) return 0;
    server.showLog();
    const reason = await server.ended;
    if (stop.asked) return 0;
    throw new Failure(`The server ended: ${reason}`);
  } finally {
    await server.stop();
  }
}

/** Ctrl-C, an end signal or a closed terminal end the server, which ends this program. */
function stopOnSignals(server) {
  const state = { asked: false };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      state.asked = true;
      void server.stop();
    });
  }
  return state;
}

async function converse(server, { question, once }) {
  say(`\n> ${question}\n`);
  try {
    await ask(server.url, model, question, (text) => process.stdout.write(text));
  } catch (error) {
    const log = server.log().trimEnd().split("\n").slice(-20).join("\n");
    if (error instanceof Failure) throw new Failure(`${error.message}\n\nServer's log:\n${log}`);
    throw error;
  }
  process.stdout.write("\n");
  if (once) return;
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello!" }] });
  say(`\nTry it:\n  curl ${server.url}/api/chat -d '${body}'\n\nServing until Ctrl-C.`);
}

await runMain(main);

/** Starts `hutch serve` as a child, asks it over HTTP, and ends it. */
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { Failure } from "./steps.mjs";

export const defaultPort = 11434;

/** Whether nobody listens on a port of the loopback address. */
export function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ host: "127.0.0.1", port }, () => probe.close(() => resolve(true)));
  });
}

/**
 * Starts the server and waits until it says where it listens. Port 0 takes a free one.
 * In a process group of its own, so that Ctrl-C reaches it once: through `stop`.
 */
export async function startServer(executable, port) {
  const child = spawn(executable, ["serve"], {
    env: { ...process.env, HUTCH_HOST: `127.0.0.1:${port}` },
    stdio: ["ignore", "ignore", "pipe"],
    detached: process.platform !== "win32",
  });
  let log = "";
  let forward = false;
  const ended = new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const listening = new Promise((resolve) => {
    child.stderr.setEncoding("utf8").on("data", (text) => {
      if (forward) process.stderr.write(text);
      else log += text;
      const address = /Listening on (?:http:\/\/)?([\w.[\]:]+:\d+)/.exec(log)?.[1];
      if (address !== undefined) resolve(`http://${address}`);
    });
  });
  const url = await Promise.race([listening, ended.then(() => undefined)]);
  if (url === undefined) {
    throw new Failure(`The server did not start (${await ended}):\n${log.trimEnd()}`);
  }
  return {
    url,
    ended,
    /** From now on its log goes to stderr as it comes. */
    showLog() {
      forward = true;
    },
    log: () => log,
    async stop() {
      child.kill("SIGTERM");
      return await ended;
    },
  };
}

/** Asks a model through the HTTP API and hands each piece of its answer on as it comes. */
export async function ask(url, model, question, onText) {
  const answer = await fetch(`${url}/api/chat`, {
    method: "POST",
    body: JSON.stringify({ model, messages: [{ role: "user", content: question }] }),
  }).catch((error) => {
    throw new Failure(`POST ${url}/api/chat failed: ${error.cause?.message ?? error.message}`);
  });
  let rest = "";
  let done = false;
  const take = (line) => {
    const event = JSON.parse(line);
    if (event.error !== undefined) throw new Failure(`The server answered: ${event.error}`);
    onText(event.message?.content ?? "");
    done ||= event.done === true;
  };
  const decoder = new TextDecoder();
  for await (const chunk of answer.body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line !== "") take(line);
  }
  if (rest.trim() !== "") take(rest);
  if (!done) throw new Failure("The answer ended before it was complete.");
}

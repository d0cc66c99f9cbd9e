/** `hutch record FILE`, `hutch replay FILE`: a server's answers for tests that have no weights. */
import { appendFileSync, readFileSync } from "node:fs";
import { hostUrl, parseHost } from "../../config/host.ts";
import { ConnectionError, errorMessage, UsageError } from "../../errors.ts";
import { flagText, isOn, type ParsedArguments } from "../arguments.ts";
import { direct } from "../connect.ts";
import type { Context } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { Cassette, parseCassette } from "./format.ts";
import { recorder } from "./record.ts";
import { replayer } from "./replay.ts";

/** Serves until it is asked to end; the address is the only line on stdout. */
async function serve(
  context: Context,
  parsed: ParsedArguments,
  answer: (request: Request) => Promise<Response>,
): Promise<number> {
  const { host, port } = parseHost(flagText(parsed, "listen") ?? "127.0.0.1:11435");
  const ended = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  const server = Bun.serve({
    hostname: host,
    port,
    idleTimeout: 0,
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch: (request) =>
      answer(request).catch((error) =>
        Response.json({ error: errorMessage(error) }, { status: 502 }),
      ),
  });
  context.out(`${hostUrl({ scheme: "http", host, port: server.port ?? port, path: "" })}\n`);
  await ended;
  await server.stop(true);
  return exitCodes.ok;
}

export async function record(context: Context, parsed: ParsedArguments): Promise<number> {
  const [file = ""] = parsed.positionals;
  const upstream = hostUrl(parseHost(flagText(parsed, "server") ?? context.config.host));
  try {
    await direct(`${upstream}/`, { method: "HEAD" });
  } catch (cause) {
    throw new ConnectionError(`no server at ${upstream} to record`, { cause });
  }
  appendFileSync(file, "");
  const send = (url: string, init: RequestInit) => direct(url, init);
  const keep = (exchange: unknown) => appendFileSync(file, `${JSON.stringify(exchange)}\n`);
  return serve(context, parsed, recorder(upstream, send, keep));
}

export async function replay(context: Context, parsed: ParsedArguments): Promise<number> {
  const [file = ""] = parsed.positionals;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new UsageError(`read "${file}": ${errorMessage(cause)}`, { cause });
  }
  const cassette = new Cassette(parseCassette(text, file));
  return serve(context, parsed, replayer(cassette, isOn(parsed, "timing")));
}

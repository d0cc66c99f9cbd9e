/** A command's surroundings for tests: what it prints is kept, the server answers from a table. */

import { parseArguments } from "../../src/cli/arguments.ts";
import { Client, type Json } from "../../src/cli/client.ts";
import { commands, findCommand } from "../../src/cli/commands.ts";
import type { Context } from "../../src/cli/context.ts";
import { readConfig } from "../../src/config/env.ts";

/** Answer of one route: JSON, or lines of a stream. */
export type Answer =
  | { readonly json: Json; readonly status?: number; readonly headers?: Record<string, string> }
  | { readonly lines: readonly Json[] };

export interface TestContext extends Context {
  readonly printed: { out: string; note: string };
  /** Requests that arrived, in order. */
  readonly sent: { readonly request: string; readonly body: unknown }[];
}

export interface Surroundings {
  readonly answers?: Readonly<Record<string, Answer>>;
  /** Whether stdout and stderr are terminals. */
  readonly terminal?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
}

function respond(answer: Answer | undefined, request: string): Response {
  if (answer === undefined)
    return Response.json({ error: `not in the table: ${request}` }, { status: 404 });
  if ("lines" in answer)
    return new Response(answer.lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return Response.json(answer.json, {
    status: answer.status ?? 200,
    ...(answer.headers === undefined ? {} : { headers: answer.headers }),
  });
}

export function testContext(surroundings: Surroundings = {}): TestContext {
  const printed = { out: "", note: "" };
  const sent: { request: string; body: unknown }[] = [];
  const { terminal = false, columns = 80, rows = 24 } = surroundings;
  const client = new Client("http://test", async (request) => {
    const name = `${request.method} ${new URL(request.url).pathname}`;
    const text = await request.text();
    sent.push({ request: name, body: text === "" ? undefined : JSON.parse(text) });
    return respond(surroundings.answers?.[name], name);
  });
  return {
    config: readConfig({ HOME: "/nowhere", ...surroundings.env }),
    printed,
    sent,
    out: (text) => {
      printed.out += text;
    },
    note: (text) => {
      printed.note += text;
    },
    stdinIsTerminal: true,
    stdoutIsTerminal: terminal,
    stderrIsTerminal: terminal,
    columns: () => columns,
    rows: () => rows,
    client: async () => client,
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Runs a command of the table on a context. */
export async function runOn(
  context: Context,
  name: string,
  argv: readonly string[],
): Promise<number> {
  const command = findCommand(name);
  if (command === undefined) throw new Error(`no command ${name}`);
  return command.run(context, parseArguments(command, argv), commands);
}

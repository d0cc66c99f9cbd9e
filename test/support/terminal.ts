/** The executable in a terminal of its own, and a server with answers by hand for it to talk to. */
import { cleanEnvironment, executable, until } from "./executable.ts";

export interface TerminalSession extends AsyncDisposable {
  readonly pid: number;
  readonly exited: Promise<number>;
  write(text: string): void;
  resize(columns: number, rows: number): void;
  /** Waits until what was printed since the last match has this, and goes on behind it. */
  shows(what: string | RegExp): Promise<void>;
  /** All that was printed so far, control sequences included. */
  raw(): string;
}

/** Starts a command line in a terminal. */
export function openTerminal(
  command: readonly string[],
  options: { home: string; env?: Record<string, string>; columns?: number; rows?: number },
): TerminalSession {
  const decoder = new TextDecoder();
  let raw = "";
  let seen = 0;
  const child = Bun.spawn([...command], {
    cwd: options.home,
    env: { ...cleanEnvironment(options.home, options.env), TERM: "xterm-256color" },
    terminal: {
      cols: options.columns ?? 80,
      rows: options.rows ?? 24,
      data: (_terminal, data) => {
        raw += decoder.decode(data, { stream: true });
      },
    },
  });
  const find = (what: string | RegExp): number => {
    const rest = raw.slice(seen);
    if (typeof what === "string") {
      const at = rest.indexOf(what);
      return at < 0 ? -1 : seen + at + what.length;
    }
    const match = what.exec(rest);
    return match === null ? -1 : seen + match.index + match[0].length;
  };
  return {
    pid: child.pid,
    exited: child.exited,
    write: (text) => {
      child.terminal?.write(text);
    },
    resize: (columns, rows) => {
      child.terminal?.resize(columns, rows);
    },
    async shows(what) {
      await until(`the terminal shows ${what}`, () => find(what) >= 0).catch((cause) => {
        throw new Error(`${cause.message}; it shows:\n${JSON.stringify(raw.slice(seen))}`, {
          cause,
        });
      });
      seen = find(what);
    },
    raw: () => raw,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await child.exited;
      child.terminal?.close();
    },
  };
}

export interface ChatServer extends Disposable {
  readonly url: string;
  /** Bodies of the chats asked for. */
  readonly chats: { messages: Record<string, unknown>[] }[];
  /** The next words of the answer that is under way; `end` is its last line. */
  say(text: string, thinking?: string): void;
  end(): void;
  /** Whether a client has left in the middle of an answer. */
  left(): boolean;
}

/** A server whose model answers what the test says. @param capabilities of the model */
export function chatServer(capabilities: readonly string[] = ["completion"]): ChatServer {
  const chats: { messages: Record<string, unknown>[] }[] = [];
  let stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  let left = false;
  const line = (object: unknown) => new TextEncoder().encode(`${JSON.stringify(object)}\n`);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/api/show") return Response.json({ capabilities, model_info: {} });
      if (pathname === "/api/generate") return Response.json({ response: "", done: true });
      if (pathname !== "/api/chat") return new Response("Ollama is running");
      chats.push((await request.json()) as (typeof chats)[number]);
      return new Response(
        new ReadableStream<Uint8Array>({
          start(controller) {
            stream = controller;
          },
          cancel() {
            left = true;
          },
        }),
      );
    },
  });
  return {
    url: `127.0.0.1:${server.port}`,
    chats,
    say: (content, thinking) => stream?.enqueue(line({ message: { content, thinking } })),
    end: () => {
      stream?.enqueue(line({ message: { content: "" }, done: true }));
      stream?.close();
    },
    left: () => left,
    [Symbol.dispose]: () => {
      void server.stop(true);
    },
  };
}

/** `hutch run` on such a server, at its first prompt. */
export async function openChat(
  server: ChatServer,
  options: Parameters<typeof openTerminal>[1],
  flags: readonly string[] = [],
): Promise<TerminalSession> {
  const env = { HUTCH_HOST: server.url, ...options.env };
  const session = openTerminal([executable, "run", "fake", ...flags], { ...options, env });
  await session.shows(">>> ");
  return session;
}

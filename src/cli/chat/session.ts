/** The chat in a terminal: reads messages, shows answers, keeps the session in memory (cli.md 7). */
import { join } from "node:path";
import { ConnectionError, errorMessage } from "../../errors.ts";
import { type RunSettings, settingsBody, timings, toolCallText } from "../answer.ts";
import { extractFiles, takesFiles } from "../attachments.ts";
import type { Client, Json } from "../client.ts";
import type { Context } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import type { Message } from "../run-flags.ts";
import { type Line, LineReader } from "../terminal/line-reader.ts";
import { Printer } from "../terminal/printer.ts";
import { Progress } from "../terminal/progress.ts";
import { hint, plain } from "../terminal/style.ts";
import { slashCommand } from "./commands.ts";
import { editText } from "./external-editor.ts";
import { History } from "./history.ts";
import { loadModel } from "./load.ts";
import type { Session } from "./state.ts";

/** Where a text in quotes may stand: alone, or as the system message. */
const quoted = /^(?:\/set\s+system\s+)?"""/;

/** Whether a message has begun with `"""` and not ended with it. */
export function isOpen(text: string): boolean {
  const begin = quoted.exec(text.trimStart());
  if (begin === null) return false;
  return !text.trimStart().slice(begin[0].length).trimEnd().endsWith('"""');
}

/** A message without the quotes around it. */
function messageOf(text: string): string {
  const inner = /^\s*"""([\s\S]*?)"""\s*$/.exec(text)?.[1];
  return inner === undefined ? text : inner;
}

class Chat {
  readonly #session: Session;
  readonly #reader: LineReader;
  #running: AbortController | undefined;

  constructor(session: Session) {
    const { context, history } = session;
    this.#session = session;
    this.#reader = new LineReader(
      {
        input: process.stdin,
        out: context.out,
        columns: context.columns,
        rows: context.rows,
      },
      history.entries,
      () => this.#running?.abort(),
    );
  }

  /** Until the user leaves. */
  async loop(): Promise<void> {
    const stop = () => this.#running?.abort();
    process.on("SIGINT", stop);
    this.#reader.open();
    try {
      let text = "";
      for (;;) {
        const line = await this.#read(text);
        text = "";
        if (line.kind === "end") return;
        if (line.kind === "editor") text = await this.#edit(line.text);
        else if (line.kind === "interrupt") {
          if (line.text === "") this.#session.context.out("Use Ctrl + d or /bye to exit.\n");
        } else if ((await this.#handle(line.text)) === "leave") return;
      }
    } finally {
      this.#reader.close();
      process.off("SIGINT", stop);
    }
  }

  #read(text: string): Promise<Line> {
    const { context } = this.#session;
    return this.#reader.read({
      first: ">>> ",
      more: "... ",
      hint: `${hint(context)}Send a message (/? for help)${plain}`,
      isOpen,
      text,
    });
  }

  /** Opens an editor; what it leaves is the text to go on with. */
  async #edit(text: string): Promise<string> {
    const { context } = this.#session;
    this.#reader.close();
    try {
      return await editText(context.config.editor, text);
    } catch (error) {
      context.note(`error: ${errorMessage(error)}\n`);
      return text;
    } finally {
      this.#reader.open();
    }
  }

  async #handle(text: string): Promise<"leave" | "stay"> {
    const { context, history } = this.#session;
    if (text.trim() === "") return "stay";
    const problem = history.add(text);
    if (problem !== undefined) context.note(`warning: ${problem}\n`);
    try {
      if (text.startsWith("/")) {
        const outcome = await slashCommand(this.#session, text);
        if (outcome === "leave") return "leave";
        if (outcome === "done") return "stay";
        const files = await this.#files(text);
        if (files.images.length === 0) {
          context.out(`Unknown command '${text.split(/\s+/)[0]}'. Type /? for help\n`);
        } else await this.#answer(files.prompt, files.images);
        return "stay";
      }
      const { prompt, images } = await this.#files(messageOf(text));
      await this.#answer(prompt, images);
    } catch (error) {
      if (error instanceof ConnectionError) throw error;
      context.out(`error: ${errorMessage(error)}\n`);
    }
    return "stay";
  }

  #files(prompt: string): Promise<{ prompt: string; images: string[] }> {
    const { context, info } = this.#session;
    return takesFiles(info)
      ? extractFiles(context, prompt)
      : Promise.resolve({ prompt, images: [] });
  }

  /** Asks; what was answered before Ctrl-C stays in the session. */
  async #answer(content: string, images: readonly string[]): Promise<void> {
    const session = this.#session;
    const { context, settings, system } = session;
    const asked: Message = {
      role: "user",
      content,
      ...(images.length > 0 ? { images: [...images] } : {}),
    };
    const head: Message[] = system === "" ? [] : [{ role: "system", content: system }];
    const body = { ...settingsBody(settings), messages: [...head, ...session.messages, asked] };
    this.#running = new AbortController();
    const { signal } = this.#running;
    const reply: Message = { role: "assistant", content: "" };
    let final: Json = {};
    try {
      final = await this.#show(session.client.stream("/api/chat", body, signal), reply);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#running = undefined;
    }
    context.out("\n\n");
    session.messages.push(asked, reply);
    if (settings.verbose) context.note(timings(final));
  }

  /** Prints an answer as it comes and gathers it in `reply`. Returns its final line. */
  async #show(lines: AsyncIterable<Json>, reply: Message): Promise<Json> {
    const { context, settings } = this.#session;
    const printer = new Printer(context, settings);
    const progress = new Progress(context);
    progress.status("waiting");
    let final: Json = {};
    try {
      for await (const line of lines) {
        progress.clear();
        const message = (line.message ?? {}) as Json;
        const thinking = String(message.thinking ?? "");
        printer.thinking(thinking);
        printer.text(String(message.content ?? ""));
        printer.text(toolCallText(message.tool_calls));
        reply.content += String(message.content ?? "");
        if (thinking !== "") reply.thinking = (reply.thinking ?? "") + thinking;
        if (Array.isArray(message.tool_calls)) {
          reply.tool_calls = [...(reply.tool_calls ?? []), ...message.tool_calls];
        }
        if (line.done) final = line;
      }
    } finally {
      progress.clear();
      printer.end();
    }
    return final;
  }
}

/** Messages that the model brings along, as if they had been said here. */
async function replay(context: Context, settings: RunSettings, info: Json): Promise<void> {
  for (const message of Array.isArray(info.messages) ? (info.messages as Json[]) : []) {
    if (message.role === "user") context.out(`>>> ${String(message.content)}\n`);
    else if (message.role === "assistant") {
      const printer = new Printer(context, settings);
      printer.text(String(message.content));
      printer.end();
      context.out("\n\n");
    }
  }
}

/** Runs until the user leaves. @throws ServerError when the model cannot be loaded */
export async function chat(
  context: Context,
  client: Client,
  settings: RunSettings,
  info: Json,
  system: string,
): Promise<number> {
  await loadModel(context, client, settings);
  await replay(context, settings, info);
  const { homeFolder, noHistory } = context.config;
  const history = new History(join(homeFolder, "history"), !noHistory);
  const session: Session = { context, client, history, settings, info, system, messages: [] };
  await new Chat(session).loop();
  return exitCodes.ok;
}

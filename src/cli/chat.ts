/** The chat in a terminal: a line editor with history, a few commands, the whole session in memory. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { errorMessage, isAbortError } from "../errors.ts";
import { formatValue, type RunSettings, timings } from "./answer.ts";
import type { Client, Json } from "./client.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { Printer } from "./printer.ts";
import { Progress } from "./progress.ts";

const help = `Available Commands:
  /set            Set session variables
  /show           Show model information
  /load <model>   Load a session or model
  /save <model>   Save your current session
  /clear          Clear session context
  /bye            Exit
  /?, /help       Help for a command

Use """ to begin a multi-line message.
`;

const mostHistory = 100;

interface Message {
  role: string;
  content: string;
  thinking?: string;
}

class Session {
  readonly #context: Context;
  readonly #client: Client;
  readonly #readline: Interface;
  #settings: RunSettings;
  #messages: Message[] = [];
  #options: Record<string, unknown> = {};
  #system = "";
  #running: AbortController | undefined;

  constructor(context: Context, client: Client, settings: RunSettings) {
    this.#context = context;
    this.#client = client;
    this.#settings = settings;
    this.#readline = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: true,
      history: this.#loadHistory(),
      historySize: mostHistory,
    });
    this.#readline.on("SIGINT", () => this.#interrupt());
  }

  get #historyFile(): string {
    return join(this.#context.config.homeFolder, "history");
  }

  #loadHistory(): string[] {
    if (this.#context.config.noHistory || !existsSync(this.#historyFile)) return [];
    const lines = readFileSync(this.#historyFile, "utf8").split("\n").filter(Boolean);
    return lines.slice(-mostHistory).reverse();
  }

  #remember(line: string): void {
    if (this.#context.config.noHistory || line === "") return;
    mkdirSync(dirname(this.#historyFile), { recursive: true });
    if (!existsSync(this.#historyFile)) writeFileSync(this.#historyFile, "", { mode: 0o600 });
    appendFileSync(this.#historyFile, `${line.replaceAll("\n", " ")}\n`);
  }

  /** Ctrl-C: stops an answer; on an empty line says how to leave; else empties the line. */
  #interrupt(): void {
    if (this.#running !== undefined) {
      this.#running.abort();
      return;
    }
    if (this.#readline.line === "") this.#context.out("\nUse Ctrl + d or /bye to exit.\n");
    else this.#context.out("\n");
    this.#readline.write(null, { ctrl: true, name: "u" });
    this.#readline.prompt();
  }

  /** The next message, lines between """ joined; undefined at the end of input. */
  async #read(lines: AsyncIterator<string>): Promise<string | undefined> {
    this.#readline.setPrompt(">>> ");
    this.#readline.prompt();
    const next = await lines.next();
    if (next.done) return undefined;
    let text = next.value;
    if (!text.trimStart().startsWith('"""')) return text;
    text = text.trimStart().slice(3);
    this.#readline.setPrompt("... ");
    while (!text.trimEnd().endsWith('"""')) {
      this.#readline.prompt();
      const more = await lines.next();
      if (more.done) return undefined;
      text += `\n${more.value}`;
    }
    return text.trimEnd().slice(0, -3);
  }

  async loop(): Promise<number> {
    const lines = this.#readline[Symbol.asyncIterator]();
    for (;;) {
      const text = await this.#read(lines);
      if (text === undefined || /^\/(bye|exit)\b/.test(text.trim())) break;
      if (text.trim() === "") continue;
      this.#remember(text);
      try {
        if (text.startsWith("/")) await this.#command(text.trim());
        else await this.#answer(text);
      } catch (error) {
        this.#context.note(`Error: ${errorMessage(error)}\n`);
      }
    }
    this.#readline.close();
    return exitCodes.ok;
  }

  async #answer(text: string): Promise<void> {
    this.#messages.push({ role: "user", content: text });
    const system = this.#system === "" ? [] : [{ role: "system", content: this.#system }];
    const { model, format, keepAlive, think } = this.#settings;
    const body = {
      model,
      messages: [...system, ...this.#messages],
      options: this.#options,
      ...(format === undefined ? {} : { format: formatValue(format) }),
      ...(keepAlive === undefined ? {} : { keep_alive: keepAlive }),
      ...(think === undefined ? {} : { think }),
    };
    const printer = new Printer(this.#context, this.#settings);
    const progress = new Progress(this.#context);
    progress.status("");
    const reply: Message = { role: "assistant", content: "" };
    let final: Json = {};
    this.#running = new AbortController();
    try {
      for await (const line of this.#client.stream("/api/chat", body, this.#running.signal)) {
        const message = (line.message ?? {}) as Json;
        const thinking = String(message.thinking ?? "");
        printer.thinking(thinking);
        printer.text(String(message.content ?? ""));
        reply.content += String(message.content ?? "");
        if (thinking !== "") reply.thinking = (reply.thinking ?? "") + thinking;
        if (line.done) final = line;
      }
    } catch (error) {
      if (!isAbortError(error) && !this.#running.signal.aborted) {
        this.#messages.pop();
        throw error;
      }
    } finally {
      this.#running = undefined;
      printer.end();
    }
    this.#context.out("\n\n");
    this.#messages.push(reply);
    if (this.#settings.verbose) this.#context.note(timings(final));
  }

  async #command(text: string): Promise<void> {
    const [name = "", ...words] = text.split(/\s+/);
    const rest = text.slice(name.length).trim();
    switch (name) {
      case "/?":
      case "/help":
        this.#context.note(help);
        return;
      case "/clear":
        this.#messages = [];
        this.#context.out("Cleared session context\n");
        return;
      case "/set":
        this.#set(words, rest);
        return;
      case "/show":
        return this.#show(words[0] ?? "");
      case "/load":
        return this.#load(words[0] ?? "");
      case "/save":
        return this.#save(words[0] ?? "");
      default:
        this.#context.out(`Unknown command '${name}'. Type /? for help\n`);
    }
  }

  #set(words: readonly string[], rest: string): void {
    const [what = "", key = "", ...values] = words;
    const out = (text: string) => this.#context.out(`${text}\n`);
    switch (what) {
      case "verbose":
      case "quiet":
        this.#settings = { ...this.#settings, verbose: what === "verbose" };
        out(`Set '${what}' mode.`);
        break;
      case "wordwrap":
      case "nowordwrap":
        this.#settings = { ...this.#settings, wordWrap: what === "wordwrap" };
        out(`Set '${what}' mode.`);
        break;
      case "format":
        this.#settings = { ...this.#settings, format: key };
        out(`Set format to '${key}' mode.`);
        break;
      case "noformat":
        this.#settings = { ...this.#settings, format: undefined };
        out("Disabled format.");
        break;
      case "think":
        this.#settings = { ...this.#settings, think: key === "" ? true : key };
        out(key === "" ? "Set 'think' mode." : `Set 'think' mode to '${key}'.`);
        break;
      case "nothink":
        this.#settings = { ...this.#settings, think: false };
        out("Set 'nothink' mode.");
        break;
      case "system":
        this.#system = rest
          .slice("system".length)
          .trim()
          .replace(/^"""|"""$/g, "");
        out("Set system message.");
        break;
      case "parameter": {
        const texts = values.map((value) => (Number.isNaN(Number(value)) ? value : Number(value)));
        this.#options[key] = key === "stop" ? values : texts[0];
        out(`Set parameter '${key}' to '${values.join(", ")}'`);
        break;
      }
      default:
        out(`Unknown command '/set ${what}'. Type /? for help`);
        break;
    }
  }

  async #show(what: string): Promise<void> {
    const answer = await this.#client.call("POST", "/api/show", { model: this.#settings.model });
    if (what === "info") {
      const { showText } = await import("./show.ts");
      this.#context.note(showText(answer, false));
      return;
    }
    const text = what === "system" && this.#system !== "" ? this.#system : answer[what];
    this.#context.out(
      `${typeof text === "string" && text !== "" ? text : `No ${what} was specified for this model.`}\n`,
    );
  }

  async #load(model: string): Promise<void> {
    this.#context.out(`Loading model '${model}'\n`);
    await this.#client.call("POST", "/api/show", { model });
    this.#settings = { ...this.#settings, model };
    this.#messages = [];
  }

  async #save(model: string): Promise<void> {
    await this.#client.call("POST", "/api/create", {
      model,
      from: this.#settings.model,
      ...(this.#system === "" ? {} : { system: this.#system }),
      ...(Object.keys(this.#options).length === 0 ? {} : { parameters: this.#options }),
      messages: this.#messages.map(({ role, content }) => ({ role, content })),
      stream: false,
    });
    this.#context.out(`Created new model '${model}'\n`);
  }
}

/** Runs until the user leaves. */
export async function chat(
  context: Context,
  client: Client,
  settings: RunSettings,
  info: Json,
): Promise<number> {
  const progress = new Progress(context);
  progress.status("loading");
  await client.call("POST", "/api/generate", {
    model: settings.model,
    stream: false,
    ...(settings.keepAlive === undefined ? {} : { keep_alive: settings.keepAlive }),
    ...(settings.think === undefined ? {} : { think: settings.think }),
  });
  progress.clear();
  for (const message of Array.isArray(info.messages) ? (info.messages as Json[]) : []) {
    const prefix = message.role === "user" ? ">>> " : "";
    context.out(`${prefix}${String(message.content)}\n${prefix === "" ? "\n" : ""}`);
  }
  return new Session(context, client, settings).loop();
}

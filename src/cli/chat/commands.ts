/** The commands of a chat that begin with a slash, but for `/set` (cli.md 7). */
import { ServerError } from "../../errors.ts";
import { isValidName, parseName } from "../../model/name.ts";
import { listText } from "../models.ts";
import { showText } from "../show.ts";
import { chatHelp, setHelp, shortcutHelp, showHelp } from "./help.ts";
import { loadModel } from "./load.ts";
import { setCommand } from "./set.ts";
import { capabilitiesOf, type Session } from "./state.ts";

/** Parameters that the user has set, as rows under those of the model. */
function parametersText({ info, settings }: Session): string {
  const own = Object.entries(settings.options).map(([name, value]) => {
    const text = Array.isArray(value) ? `[${value.join(" ")}]` : String(value);
    return `  ${name.padEnd(30)} ${text}`;
  });
  const model = String(info.parameters ?? "")
    .split("\n")
    .filter((line) => line.trim() !== "");
  const parts = [
    ...(model.length > 0
      ? [`Model defined parameters:\n${model.map((line) => `  ${line}`).join("\n")}\n`]
      : []),
    ...(own.length > 0 ? [`User defined parameters:\n${own.join("\n")}\n`] : []),
  ];
  return parts.length > 0
    ? `${parts.join("\n")}\n`
    : "No additional parameters were specified for this model.\n";
}

function showCommand(session: Session, what: string | undefined): void {
  const { context, info, system } = session;
  const text = (key: string) => String(info[key] ?? "");
  const field = (value: string, name: string) =>
    context.out(value === "" ? `No ${name} was specified for this model.\n` : `${value}\n`);
  switch (what) {
    case undefined:
      context.note(showHelp);
      return;
    case "info":
      context.note(showText(info, false));
      return;
    case "license":
      field(text("license"), "license");
      return;
    case "modelfile":
      context.out(`${text("modelfile")}\n`);
      return;
    case "parameters":
      context.out(parametersText(session));
      return;
    case "system":
      field(system || text("system"), "system message");
      return;
    case "template":
      field(text("template"), "prompt template");
      return;
    default:
      context.out(`Unknown command '/show ${what}'. Type /? for help\n`);
  }
}

async function loadCommand(session: Session, model: string | undefined): Promise<void> {
  const { context, client } = session;
  if (model === undefined) {
    context.out("Usage:\n  /load <modelname>\n");
    return;
  }
  context.out(`Loading model '${model}'\n`);
  try {
    const info = await client.call("POST", "/api/show", { model });
    const thinks = capabilitiesOf(info).includes("thinking");
    const settings = { ...session.settings, model, think: thinks ? true : undefined };
    await loadModel(context, client, settings);
    session.settings = settings;
    session.info = info;
    session.messages = [];
  } catch (error) {
    if (!(error instanceof ServerError) || error.status !== 404) throw error;
    context.out(`Couldn't find model '${model}'\n`);
  }
}

async function saveCommand(session: Session, model: string | undefined): Promise<void> {
  const { context, client, settings, system, messages } = session;
  if (model === undefined) {
    context.out("Usage:\n  /save <modelname>\n");
    return;
  }
  if (!isValidName(parseName(model))) {
    context.out(`error: The model name '${model}' is invalid\n`);
    return;
  }
  const lines = client.stream("/api/create", {
    model,
    from: settings.model,
    ...(system === "" ? {} : { system }),
    ...(Object.keys(settings.options).length === 0 ? {} : { parameters: settings.options }),
    ...(messages.length === 0
      ? {}
      : { messages: messages.map(({ role, content }) => ({ role, content })) }),
  });
  for await (const _ of lines);
  context.out(`Created new model '${model}'\n`);
}

function helpCommand(session: Session, topic: string | undefined): void {
  const topics: Readonly<Record<string, string>> = {
    set: setHelp,
    "/set": setHelp,
    show: showHelp,
    "/show": showHelp,
    shortcut: shortcutHelp,
    shortcuts: shortcutHelp,
  };
  session.context.note(topics[topic ?? ""] ?? chatHelp);
}

/**
 * Carries out a line that begins with a slash.
 * @returns `leave` ends the session; `unknown` is for the caller to say or to take as a message
 */
export async function slashCommand(
  session: Session,
  line: string,
): Promise<"done" | "leave" | "unknown"> {
  const [, ...words] = line.trim().split(/\s+/);
  const starts = (...names: string[]) => names.some((name) => line.startsWith(name));
  if (starts("/list")) session.context.out(await listText(session.client, words[0]));
  else if (starts("/load")) await loadCommand(session, words[0]);
  else if (starts("/save")) await saveCommand(session, words[0]);
  else if (starts("/clear")) {
    session.messages = [];
    session.context.out("Cleared session context\n");
  } else if (starts("/set")) setCommand(session, words, line);
  else if (starts("/show")) showCommand(session, words[0]);
  else if (starts("/help", "/?")) helpCommand(session, words[0]);
  else if (starts("/exit", "/bye")) return "leave";
  else return "unknown";
  return "done";
}

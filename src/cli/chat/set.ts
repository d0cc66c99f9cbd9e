/** `/set …`: changes how a chat asks and shows (cli.md 7). */
import { errorMessage, ModelfileError } from "../../errors.ts";
import { typeParameter } from "../../model/options.ts";
import { parameterHelp, setHelp } from "./help.ts";
import { capabilitiesOf, type Session } from "./state.ts";

/** Takes the quotes of a text away: `"""` or `"` around it. */
function unquoted(text: string): string {
  const [, inner] = /^"""([\s\S]*?)(?:""")?$/.exec(text) ?? /^"([\s\S]*)"$/.exec(text) ?? [];
  return inner ?? text;
}

function setThink(session: Session, level: string | undefined): void {
  const { context, info, settings } = session;
  if (!capabilitiesOf(info).includes("thinking")) {
    context.note(`warning: model "${settings.model}" does not support thinking output\n`);
  }
  if (level === undefined) {
    session.settings = { ...settings, think: true };
    context.out("Set 'think' mode.\n");
  } else if (["low", "medium", "high", "max"].includes(level)) {
    session.settings = { ...settings, think: level };
    context.out(`Set 'think' mode to '${level}'.\n`);
  } else {
    const shown = JSON.stringify(level);
    context.out(`invalid think value: ${shown} (must be high, medium, low, or max)\n`);
  }
}

function setParameter(session: Session, name: string | undefined, values: string[]): void {
  const { context, settings } = session;
  if (name === undefined || values.length === 0) {
    context.note(parameterHelp);
    return;
  }
  try {
    const value = typeParameter(name, values);
    const options = { ...settings.options, [name]: value };
    session.settings = { ...settings, options };
    context.out(`Set parameter '${name}' to '${values.join(", ")}'\n`);
  } catch (error) {
    if (!(error instanceof ModelfileError)) throw error;
    context.out(`Couldn't set parameter: ${JSON.stringify(errorMessage(error))}\n`);
  }
}

function setFormat(session: Session, value: string | undefined): void {
  if (value !== "json") {
    session.context.out("Invalid or missing format. For 'json' mode use '/set format json'\n");
    return;
  }
  session.settings = { ...session.settings, format: "json" };
  session.context.out("Set format to 'json' mode.\n");
}

/** @param line the whole line, for texts with blanks */
export function setCommand(session: Session, words: readonly string[], line: string): void {
  const [what, ...rest] = words;
  const { context } = session;
  const mode = (change: Partial<Session["settings"]>) => {
    session.settings = { ...session.settings, ...change };
    context.out(`Set '${what}' mode.\n`);
  };
  switch (what) {
    case undefined:
      context.note(setHelp);
      return;
    case "history":
    case "nohistory":
      session.history.enabled = what === "history";
      return;
    case "wordwrap":
    case "nowordwrap":
      mode({ wordWrap: what === "wordwrap" });
      return;
    case "verbose":
    case "quiet":
      mode({ verbose: what === "verbose" });
      return;
    case "format":
      setFormat(session, rest[0]);
      return;
    case "noformat":
      session.settings = { ...session.settings, format: undefined };
      context.out("Disabled format.\n");
      return;
    case "think":
      setThink(session, rest[0]);
      return;
    case "nothink":
      if (!capabilitiesOf(session.info).includes("thinking")) {
        const { model } = session.settings;
        context.note(`warning: model "${model}" does not support thinking output\n`);
      }
      mode({ think: false });
      return;
    case "parameter":
      setParameter(session, rest[0], rest.slice(1));
      return;
    case "system":
      if (rest.length === 0) {
        context.note(setHelp);
        return;
      }
      session.system = unquoted(line.replace(/^\/set\s+system\s+/, "").trim());
      context.out("Set system message.\n");
      return;
    default:
      context.out(`Unknown command '/set ${what}'. Type /? for help\n`);
  }
}

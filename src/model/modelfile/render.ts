/** A model as a Modelfile, and its parameters as show prints them (modelfile.md 6). */
import { goNumber, goQuote } from "../gojson.ts";
import type { ModelfileCommand } from "./parse.ts";

/** Everything a stored model's Modelfile says, in its order. */
export interface ModelfileSource {
  /** Absolute path of the model's GGUF, or the text after FROM. */
  readonly from: string;
  readonly adapters: readonly string[];
  readonly draft?: string;
  readonly projectors: readonly string[];
  readonly template: string;
  readonly system: string;
  readonly renderer?: string;
  readonly parser?: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly licenses: readonly string[];
  readonly messages: readonly { readonly role: string; readonly content: string }[];
}

/** Quotes a value only when it would not be read back otherwise. */
function quoteValue(text: string): string {
  if (!/[\n]|^ | $/.test(text)) return text;
  return text.includes('"') ? `"""${text}"""` : `"${text}"`;
}

function plain(value: unknown): string {
  if (typeof value === "number") return goNumber(value);
  if (typeof value === "string") return value;
  return value === null ? "<nil>" : String(value);
}

/** One line a command, each ended by a newline, without the comment header. */
export function renderModelfile(source: ModelfileSource): string {
  const lines: string[] = [`FROM ${source.from}`];
  for (const adapter of source.adapters) lines.push(`ADAPTER ${adapter}`);
  if (source.draft !== undefined) lines.push(`DRAFT ${source.draft}`);
  for (const projector of source.projectors) lines.push(`FROM ${projector}`);
  lines.push(`TEMPLATE ${quoteValue(source.template)}`);
  if (source.system !== "") lines.push(`SYSTEM ${quoteValue(source.system)}`);
  if (source.renderer) lines.push(`RENDERER ${source.renderer}`);
  if (source.parser) lines.push(`PARSER ${source.parser}`);
  for (const name of Object.keys(source.parameters).sort()) {
    const value = source.parameters[name];
    for (const item of Array.isArray(value) ? value : [value]) {
      lines.push(`PARAMETER ${name} ${quoteValue(plain(item))}`);
    }
  }
  for (const license of source.licenses) lines.push(`LICENSE ${quoteValue(license)}`);
  for (const { role, content } of source.messages) {
    lines.push(`MESSAGE ${role} ${quoteValue(content)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** The field `parameters` of show: a row a value, sorted by name, no final newline. */
export function renderParameters(parameters: Readonly<Record<string, unknown>>): string {
  const rows: string[] = [];
  for (const name of Object.keys(parameters).sort()) {
    const value = parameters[name];
    for (const item of Array.isArray(value) ? value : [value]) {
      const shown = typeof item === "string" ? goQuote(item) : plain(item);
      rows.push(`${name.padEnd(30)} ${shown}`);
    }
  }
  return rows.join("\n");
}

/** Parsed commands written out again. */
export function renderCommands(commands: readonly ModelfileCommand[]): string {
  return commands
    .map(({ name, args, parameter }) => {
      if (parameter) return `PARAMETER ${name} ${quoteValue(args)}\n`;
      if (name === "model") return `FROM ${args}\n`;
      if (name === "message") {
        const [role, ...content] = args.split(": ");
        return `MESSAGE ${role} ${quoteValue(content.join(": "))}\n`;
      }
      return `${name.toUpperCase()} ${quoteValue(args)}\n`;
    })
    .join("");
}

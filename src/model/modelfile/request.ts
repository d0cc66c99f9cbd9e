/**
 * From a parsed Modelfile to the fields of a create request (modelfile.md 5). Which texts are files
 * is the caller's to find out: the command line looks at the disk, a server at its blobs.
 */
import { ModelfileError } from "../../errors.ts";
import { deprecatedParameters, retiredOptions, typeParameter } from "../options.ts";
import type { ModelfileCommand } from "./parse.ts";

export interface ModelfileFields {
  /** Texts after FROM, ADAPTER and DRAFT, in order. */
  readonly from: readonly string[];
  readonly adapters: readonly string[];
  readonly drafts: readonly string[];
  readonly template?: string;
  readonly system?: string;
  readonly license?: readonly string[];
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly messages?: readonly { readonly role: string; readonly content: string }[];
  readonly renderer?: string;
  readonly parser?: string;
  readonly requires?: string;
  /** What the user should hear. */
  readonly warnings: readonly string[];
}

/** As Go's semver reads it: minor and patch may be left out. */
const semver = /^v?(\d+(?:\.\d+(?:\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)?)?)$/;

function parametersOf(commands: readonly ModelfileCommand[]): {
  parameters: Record<string, unknown>;
  warnings: string[];
} {
  const texts = new Map<string, string[]>();
  const warnings: string[] = [];
  for (const { name, args, parameter } of commands) {
    if (!parameter) continue;
    if (deprecatedParameters.has(name)) {
      warnings.push(`warning: parameter ${name} is deprecated`);
    } else if (retiredOptions.has(name)) {
      warnings.push(`warning: parameter ${name} has no effect`);
    } else if (name === "stop") {
      texts.set(name, [...(texts.get(name) ?? []), args]);
    } else {
      texts.set(name, [args]);
    }
  }
  const parameters: Record<string, unknown> = {};
  for (const [name, values] of texts) parameters[name] = typeParameter(name, values);
  return { parameters, warnings };
}

/** @throws ModelfileError for bad parameter values and versions */
export function modelfileFields(commands: readonly ModelfileCommand[]): ModelfileFields {
  const all = (wanted: string) =>
    commands.filter(({ name, parameter }) => name === wanted && !parameter).map(({ args }) => args);
  const last = (wanted: string) => all(wanted).at(-1);
  const { parameters, warnings } = parametersOf(commands);
  const license = all("license");
  const messages = all("message").map((args) => {
    const at = args.indexOf(": ");
    return { role: args.slice(0, at), content: args.slice(at + 2) };
  });
  const requires = last("requires");
  const version = requires === undefined ? undefined : semver.exec(requires)?.[1];
  if (requires !== undefined && version === undefined) {
    throw new ModelfileError("requires must be a valid semver (e.g. 0.14.0)");
  }
  const texts = Object.fromEntries(
    (["template", "system", "renderer", "parser"] as const).flatMap((name) => {
      const value = last(name);
      return value ? [[name, value] as const] : [];
    }),
  );
  return {
    from: all("model"),
    adapters: all("adapter"),
    drafts: all("draft"),
    ...texts,
    ...(license.length > 0 ? { license } : {}),
    ...(Object.keys(parameters).length > 0 ? { parameters } : {}),
    ...(messages.length > 0 ? { messages } : {}),
    ...(version === undefined ? {} : { requires: version }),
    warnings,
  };
}

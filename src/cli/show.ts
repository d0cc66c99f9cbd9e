/** `hutch show MODEL` (cli.md 5.3). */
import { UsageError } from "../errors.ts";
import { humanNumber } from "../model/human.ts";
import { isOn, type ParsedArguments } from "./arguments.ts";
import type { Json } from "./client.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { section } from "./table.ts";

const fields = ["license", "modelfile", "parameters", "system", "template"] as const;

function object(value: unknown): Json {
  return typeof value === "object" && value !== null ? (value as Json) : {};
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** A number as Go prints it: with an exponent from one million up (cli.md 5.3). */
function numberText(value: number): string {
  const long = value.toExponential();
  const exponent = Number(long.split("e")[1]);
  if (exponent >= -4 && exponent < 6) return String(value);
  return long.replace(/e([+-])(\d)$/, "e$10$2");
}

/** A value of the metadata; long arrays are cut to about ten columns. */
function metadataValue(value: unknown): string {
  if (Array.isArray(value)) {
    const shown: string[] = [];
    let columns = 0;
    for (const item of value) {
      const text = String(item);
      if (columns + text.length > 10) break;
      shown.push(text);
      columns += text.length + 1;
    }
    const more = value.length - shown.length;
    return more > 0 ? `[${[...shown, `...+${more} more`].join(" ")}]` : `[${shown.join(" ")}]`;
  }
  if (typeof value === "number") return numberText(value);
  return value === null ? "[]" : String(value);
}

function modelRows(answer: Json): string[][] {
  const info = object(answer.model_info);
  const details = object(answer.details);
  const arch = info["general.architecture"];
  const rows: string[][] = [];
  if (answer.remote_model) {
    rows.push(["Remote model", String(answer.remote_model)]);
    rows.push(["Remote URL", String(answer.remote_host ?? "")]);
  }
  if (typeof arch === "string") {
    rows.push(["architecture", arch]);
    const count = info["general.parameter_count"];
    const size = details.parameter_size;
    if (typeof size === "string" && size !== "") rows.push(["parameters", size]);
    else if (typeof count === "number") rows.push(["parameters", humanNumber(count)]);
    const context = info[`${arch}.context_length`];
    if (typeof context === "number") rows.push(["context length", String(context)]);
    const embedding = info[`${arch}.embedding_length`];
    if (typeof embedding === "number") rows.push(["embedding length", String(embedding)]);
  } else {
    rows.push(["architecture", String(details.family ?? "")]);
    rows.push(["parameters", String(details.parameter_size ?? "")]);
  }
  rows.push(["quantization", String(details.quantization_level ?? "")]);
  if (answer.requires) rows.push(["requires", String(answer.requires)]);
  return rows;
}

/** First two lines that are not blank, then `...` when there are more. */
function firstLines(text: string): string[][] {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return [...lines.slice(0, 2), ...(lines.length > 2 ? ["..."] : [])].map((line) => [line]);
}

/** All sections, as text. */
export function showText(answer: Json, verbose: boolean): string {
  let out = section("Model", modelRows(answer));
  const capabilities = texts(answer.capabilities);
  if (capabilities.length > 0) {
    out += section(
      "Capabilities",
      capabilities.map((name) => [name]),
    );
  }
  const projector = object(answer.projector_info);
  if (Object.keys(projector).length > 0) {
    const arch = String(projector["general.architecture"] ?? "");
    out += section("Projector", [
      ["architecture", arch],
      ["parameters", humanNumber(Number(projector["general.parameter_count"] ?? 0))],
      ["embedding length", String(projector[`${arch}.vision.embedding_length`] ?? 0)],
      ["dimensions", String(projector[`${arch}.vision.projection_dim`] ?? 0)],
    ]);
  }
  if (typeof answer.parameters === "string" && answer.parameters !== "") {
    out += section(
      "Parameters",
      answer.parameters.split("\n").map((line) => line.split(/\s+/).filter(Boolean)),
    );
  }
  if (verbose) {
    const info = object(answer.model_info);
    out += section(
      "Metadata",
      Object.keys(info)
        .sort()
        .map((key) => [key, metadataValue(info[key])]),
    );
    const tensors = Array.isArray(answer.tensors) ? (answer.tensors as Json[]) : [];
    out += section(
      "Tensors",
      tensors.map(({ name, type, shape }) => [
        String(name),
        String(type),
        `[${texts(shape).join(" ")}]`,
      ]),
    );
  }
  if (answer.system) out += section("System", firstLines(String(answer.system)), 100);
  if (answer.license) out += section("License", firstLines(String(answer.license)), 100);
  return out;
}

export async function show(context: Context, parsed: ParsedArguments): Promise<number> {
  const chosen = fields.filter((name) => isOn(parsed, name));
  if (chosen.length > 1) {
    throw new UsageError(
      "only one of '--license', '--modelfile', '--parameters', '--system', or '--template' can be specified",
    );
  }
  const client = await context.client({ daemonless: true });
  const verbose = isOn(parsed, "verbose");
  const answer = await client.call("POST", "/api/show", {
    model: parsed.positionals[0],
    ...(verbose ? { verbose } : {}),
  });
  const [field] = chosen;
  if (field === undefined) context.out(showText(answer, verbose));
  else {
    const text = String(answer[field] ?? "");
    context.out(field === "system" || field === "template" ? text : `${text}\n`);
  }
  return exitCodes.ok;
}

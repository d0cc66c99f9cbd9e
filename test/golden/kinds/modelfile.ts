/** Modelfiles: parsing, re-formatting, the fields of the create request, rendering of stored models. */
import { decodeModelfile, parseModelfile } from "../../../src/model/modelfile/parse.ts";
import {
  renderCommands,
  renderModelfile,
  renderParameters,
} from "../../../src/model/modelfile/render.ts";
import { modelfileFields } from "../../../src/model/modelfile/request.ts";
import { type KindContext, outcomeOf } from "./context.ts";

interface Vector {
  id: string;
  text?: string;
  bytes_base64?: string;
  commands?: { name: string; args: string }[];
  error?: string;
  string?: string;
  request?: Record<string, unknown>;
  request_error?: string;
  printed?: string;
  files?: unknown;
}

interface Show {
  id: string;
  model_path: string;
  adapters?: string[];
  projectors?: string[];
  draft_path?: string;
  template?: string;
  system?: string;
  renderer?: string;
  parser?: string;
  options?: Record<string, unknown>;
  license?: string[];
  messages?: { role: string; content: string }[];
  modelfile_body?: string;
  parameters_field?: string;
}

/** Parameters named like instructions act as instructions in the reference; here they are refused. */
const instructionAsParameter =
  /^\s*PARAMETER +(model|adapter|draft|license|template|system|renderer|parser|requires|message) /im;
/** A second blank makes an empty name in the reference; here it is skipped. */
const twoBlanks = /^\s*(PARAMETER|MESSAGE) {2}/im;

/** The reference drops characters that Go calls non-printable; hutch keeps them. */
function printable(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null).replace(/[\p{C}\p{Zl}\p{Zp}\u00a0\u3000]/gu, ""));
}

/** The reference counts CR and LF of one line end as two lines. */
function withoutLine(text: string | undefined, source: string): string | undefined {
  return source.includes("\r") ? text?.replace(/line \d+/, "line N") : text;
}

/** Numbers from one million up are written plainly here. */
function plainNumbers(text: string | undefined): string | undefined {
  return text?.replace(/\d(\.\d+)?e\+(0\d|1\d|20)\b/g, (number) => String(Number(number)));
}

function fields(text: string): Record<string, unknown> {
  const {
    from: _from,
    adapters: _adapters,
    drafts: _drafts,
    warnings: _warnings,
    ...rest
  } = modelfileFields(parseModelfile(text));
  return rest;
}

export function modelfile(data: Record<string, unknown>, { check }: KindContext): void {
  for (const vector of data.vectors as Vector[]) {
    const text = vector.text ?? decodeModelfile(Buffer.from(vector.bytes_base64 ?? "", "base64"));
    if (instructionAsParameter.test(text)) {
      check(`${vector.id} is refused`, "error" in (outcomeOf(() => fields(text)) as object), true);
      continue;
    }
    if (twoBlanks.test(text)) {
      const single = text.replace(twoBlanks, "$1 ");
      const expected = outcomeOf(() => parseModelfile(single));
      check(
        `${vector.id} as with one blank`,
        outcomeOf(() => parseModelfile(text)),
        expected,
      );
      continue;
    }
    const commands = outcomeOf(() =>
      parseModelfile(text).map(({ name, args }) => ({ name, args })),
    ) as { error?: string };
    if (vector.error !== undefined) {
      const error = withoutLine(commands.error, text);
      check(`${vector.id} error`, error, withoutLine(vector.error, text));
      continue;
    }
    check(`${vector.id} commands`, printable(commands), printable(vector.commands));
    if (commands.error !== undefined) continue;
    const string = renderCommands(parseModelfile(text));
    check(`${vector.id} string`, printable(string), printable(vector.string));
    const actual = outcomeOf(() => fields(text)) as Record<string, unknown>;
    if (vector.request !== undefined) {
      const {
        from: _from,
        files: _files,
        adapters: _a,
        draft_files: _d,
        ...wanted
      } = vector.request;
      const json = JSON.stringify(actual, (_, item) =>
        typeof item === "bigint" ? Number(item) : item,
      );
      check(`${vector.id} request`, printable(JSON.parse(json)), printable(wanted));
    } else if (vector.request_error !== undefined && "error" in actual) {
      check(`${vector.id} request error`, actual.error, vector.request_error);
    }
  }
  for (const show of data.show as Show[]) {
    const body = renderModelfile({
      from: show.model_path,
      adapters: show.adapters ?? [],
      ...(show.draft_path === undefined ? {} : { draft: show.draft_path }),
      projectors: show.projectors ?? [],
      template: show.template ?? "{{ .Prompt }}",
      system: show.system ?? "",
      ...(show.renderer === undefined ? {} : { renderer: show.renderer }),
      ...(show.parser === undefined ? {} : { parser: show.parser }),
      parameters: show.options ?? {},
      licenses: show.license ?? [],
      messages: show.messages ?? [],
    });
    check(`show ${show.id}`, body, plainNumbers(show.modelfile_body));
    if (show.parameters_field !== undefined) {
      const parameters = renderParameters(show.options ?? {});
      check(`parameters ${show.id}`, parameters, plainNumbers(show.parameters_field));
    }
  }
}

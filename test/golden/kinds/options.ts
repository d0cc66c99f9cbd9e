/** Options of requests, parameters of Modelfiles, think values, defaults. */
import { defaultOptions, resolveOptions, typeParameter } from "../../../src/model/options.ts";
import { parseThink } from "../../../src/model/think.ts";
import { type KindContext, outcomeOf } from "./context.ts";

interface Vector {
  options: Record<string, unknown>;
  result?: Record<string, unknown>;
  error?: string;
}

/** A number as the file writes it: without the sign of zero. */
const plain = (value: unknown) =>
  value === Number.POSITIVE_INFINITY ? "Infinity" : value === 0 ? 0 : value;

export function options(data: Record<string, unknown>, { check }: KindContext): void {
  for (const { options: given, result, error } of data.vectors as Vector[]) {
    const actual = outcomeOf(() => resolveOptions(given).options) as unknown as Record<
      string,
      unknown
    >;
    const name = JSON.stringify(given);
    // Beyond 64 bits the reference wraps around; here a number keeps its sign. Numbers above 2^53 are
    // texts in the file.
    const [[key = "", number] = []] = Object.entries(given);
    if (Math.abs(Number(number)) > Number.MAX_SAFE_INTEGER && !error) {
      const { options: kept } = resolveOptions({ [key]: Number(number) });
      check(name, Math.sign(Number(kept[key as keyof typeof kept])), Math.sign(Number(number)));
      continue;
    }
    if (error !== undefined || "error" in actual) {
      check(name, actual, { error });
      continue;
    }
    const keys = Object.keys(result ?? {});
    const shown = Object.fromEntries(keys.map((key) => [key, plain(actual[key] ?? null)]));
    check(name, shown, result);
  }
  const { mirostat, mirostat_tau, mirostat_eta, ...defaults } = defaultOptions;
  check(
    "older options",
    { mirostat, mirostat_tau, mirostat_eta },
    { mirostat: 0, mirostat_tau: 5, mirostat_eta: 0.1 },
  );
  const listed = Object.fromEntries(
    Object.entries(defaults).map(([key, value]) => [key, value ?? null]),
  );
  check("defaults", listed, data.defaults);
  type Row = { params: Record<string, string[]>; result?: unknown; error?: string };
  for (const { params, result, error } of data.format_params as Row[]) {
    const actual = outcomeOf(() =>
      Object.fromEntries(
        Object.entries(params).map(([key, texts]) => [key, typeParameter(key, texts)]),
      ),
    );
    check(JSON.stringify(params), actual, error === undefined ? result : { error });
  }
  type Think = { json: string; bool?: boolean; level?: string; unset?: boolean; error?: string };
  for (const { json, bool, level, unset, error } of data.think as Think[]) {
    const actual = outcomeOf(() => parseThink(JSON.parse(json)));
    check(`think ${json}`, actual, unset ? undefined : error ? { error } : { on: bool, level });
  }
}

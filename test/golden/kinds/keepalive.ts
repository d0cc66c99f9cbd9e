/** keep_alive values and the variable KEEP_ALIVE. */
import { readConfig } from "../../../src/config/env.ts";
import { parseKeepAlive } from "../../../src/scheduler/keep-alive.ts";
import { type KindContext, outcomeOf } from "./context.ts";

interface Vector {
  json: string;
  ns?: string;
  unset?: boolean;
  error?: string;
}

export function keepalive(data: Record<string, unknown>, { check }: KindContext): void {
  for (const vector of data.vectors as Vector[]) {
    const actual = outcomeOf(() => parseKeepAlive(JSON.parse(vector.json)));
    // Numbers that overflow in the reference mean for ever here (README of the vectors).
    const ns = vector.ns?.startsWith("-") ? (2n ** 63n - 1n).toString() : vector.ns;
    const expected = vector.error !== undefined ? { error: vector.error } : ns && BigInt(ns);
    check(vector.json, actual, vector.unset ? undefined : expected);
  }
  for (const { value, ns } of data.env as { value: string; ns: string }[]) {
    const { keepAliveNs } = readConfig({ HOME: "/h", OLLAMA_KEEP_ALIVE: value });
    const wanted = BigInt(ns);
    check(`env ${value}`, keepAliveNs, wanted === 2n ** 63n - 1n ? -1n : wanted);
  }
}

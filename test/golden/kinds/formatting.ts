/** Bytes, counts, times and durations as people read them. */
import { formatGoDuration, parseGoDuration } from "../../../src/config/duration.ts";
import {
  humanBytes,
  humanBytesBinary,
  humanDuration,
  humanNumber,
  humanTime,
} from "../../../src/model/human.ts";
import { type KindContext, outcomeOf } from "./context.ts";

type Pairs = [number | string, string][];

export function formatting(data: Record<string, unknown>, { check }: KindContext): void {
  for (const { id, cases } of data.groups as { id: string; cases: unknown }[]) {
    const pairs = (format: (value: number) => string) => {
      for (const [value, text] of cases as Pairs)
        check(`${id} ${value}`, format(Number(value)), text);
    };
    switch (id) {
      case "human_bytes":
        pairs(humanBytes);
        break;
      case "human_bytes_binary":
        pairs(humanBytesBinary);
        break;
      case "human_number":
        pairs(humanNumber);
        break;
      case "human_time":
        for (const row of cases as Record<string, string | number>[]) {
          const seconds = Number(row.seconds);
          const now = 1_800_000_000_000;
          check(`duration ${seconds}`, humanDuration(seconds), row.duration);
          check(`ago ${seconds}`, humanTime(now - seconds * 1000, "Never", now), row.ago);
          const ahead = now + (seconds + 0.4) * 1000;
          check(`from now ${seconds}`, humanTime(ahead, "Never", now), row.from_now);
        }
        break;
      case "human_time_special": {
        const special = cases as { far_future_30_years: string; value: string };
        const now = Date.now();
        const far = now + 30 * 365 * 24 * 3600 * 1000;
        check("30 years", humanTime(far, "Never", now), special.far_future_30_years);
        check("no time", humanTime(undefined, "Never", now), special.value);
        break;
      }
      case "durations":
        for (const row of cases as {
          input: string;
          ns?: string;
          string?: string;
          error?: string;
        }[]) {
          const actual = outcomeOf(() => {
            const ns = parseGoDuration(row.input);
            return { input: row.input, ns: ns.toString(), string: formatGoDuration(ns) };
          }) as object;
          check(
            `parse ${row.input}`,
            "error" in actual ? { ...actual, input: row.input } : actual,
            row,
          );
        }
        break;
      default:
        check(`a runner for ${id}`, false, true);
    }
  }
}

/** What follows from a report on a constraint: may it be tried, and does a finished text pass. */
import type { BrokenRule, ConstraintReport } from "../engine/engine.ts";
import { FormatRefusedError } from "../errors.ts";
import type { FormatWish } from "./wish.ts";

/** One line: place (`#` is the whole), rule, why. */
export function ruleText({ pointer, keyword, reason }: BrokenRule): string {
  const place = pointer === undefined ? "" : `at ${JSON.stringify(pointer || "#")}: `;
  return `${place}${keyword === "" ? "" : `"${keyword}": `}${reason}`;
}

/** @throws FormatRefusedError when the constraint cannot be kept as far as the request asks */
export function demandLevel({ field, strict }: FormatWish, report: ConstraintReport): void {
  const why = report.reason === undefined ? "" : `: ${ruleText(report.reason)}`;
  if (report.level === "refused") throw new FormatRefusedError(`${field}: cannot be kept${why}`);
  if (strict && report.level !== "enforced") {
    throw new FormatRefusedError(
      `${field}: strict was asked for, but this cannot be enforced${why}`,
    );
  }
}

/** What is wrong with the only text of a report; undefined when it passes. */
export function fault({ verdicts }: ConstraintReport): string | undefined {
  const [verdict] = verdicts;
  if (verdict === undefined) return "the text was not judged";
  if (verdict.broken !== undefined) return ruleText(verdict.broken);
  return verdict.accepted ? undefined : "the text is not one of the grammar's";
}

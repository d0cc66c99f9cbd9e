/** Reads the counts out of a JUnit report. */

/** The counts of the report's first element, which are the sums. */
export function readReport(xml) {
  const element = /<testsuites\b[^>]*>/.exec(xml)?.[0] ?? "";
  const count = (name) => Number(new RegExp(` ${name}="(\\d+)"`).exec(element)?.[1] ?? 0);
  const failed = count("failures") + count("errors");
  const skipped = count("skipped");
  return { passed: count("tests") - failed - skipped, failed, skipped };
}

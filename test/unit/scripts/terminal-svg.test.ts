/** The picture of a terminal: what it says, and that the last line comes last. */
import { expect, test } from "bun:test";
import { terminalSvg } from "../../../scripts/terminal-svg.ts";

const plain = { dim: false, bold: false };
const picture = terminalSvg(
  [
    { typed: true, runs: [{ text: "$ a <b> & c", column: 0, ...plain }] },
    { typed: false, runs: [{ text: "grey", column: 2, dim: true, bold: false }] },
    { typed: false, runs: [] },
    { typed: true, runs: [{ text: "$ d", column: 0, ...plain }] },
  ],
  40,
  "a title",
);

test("its text is the screen's, escaped", () => {
  const texts = [...picture.matchAll(/<tspan [^>]*>([^<]*)</g)].map(([, text]) => text);
  expect(texts).toEqual(["$ a &lt;b&gt; &amp; c", "grey", "$ d"]);
  expect(picture).toContain('x="16.8" textLength="33.6" class="dim"');
});

test("lines appear in their order, typed ones a character at a time", () => {
  const delays = [...picture.matchAll(/([\d.]+)s backwards/g)].map(([, seconds]) =>
    Number(seconds),
  );
  expect(delays).toHaveLength(4);
  expect(delays).toEqual(delays.toSorted((a, b) => a - b));
  expect(picture).toContain("steps(11)");
});

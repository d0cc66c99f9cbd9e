/** The text that Prometheus reads. */
import { expect, test } from "bun:test";
import { Counter, Gauge, Histogram, metricsPage } from "../../../src/server/operations/registry.ts";

test("a page has help, type and rows of every metric, with escaped labels", () => {
  const counter = new Counter("c_total", "Counts.");
  counter.add({ a: 'x"y\\z\n' });
  counter.add({ a: 'x"y\\z\n' }, 2);
  counter.add({});
  const gauge = new Gauge("g", "Now.", () => [{ labels: { m: "one" }, value: 7 }]);
  expect(metricsPage([counter, gauge])).toBe(
    [
      "# HELP c_total Counts.",
      "# TYPE c_total counter",
      'c_total{a="x\\"y\\\\z\\n"} 3',
      "c_total 1",
      "# HELP g Now.",
      "# TYPE g gauge",
      'g{m="one"} 7',
      "",
    ].join("\n"),
  );
});

test("a histogram's buckets add up, and the last one holds everything", () => {
  const histogram = new Histogram("h", "Spread.", [1, 10]);
  for (const value of [0.5, 1, 2, 100]) histogram.observe({ m: "a" }, value);
  expect(histogram.text().split("\n").slice(2)).toEqual([
    'h_bucket{m="a",le="1"} 2',
    'h_bucket{m="a",le="10"} 3',
    'h_bucket{m="a",le="+Inf"} 4',
    'h_sum{m="a"} 103.5',
    'h_count{m="a"} 4',
  ]);
});

/** Lines of transfers (cli.md 6). */
import { describe, expect, test } from "bun:test";
import { barLine, barText, Rate, timeLeft } from "../../../src/cli/terminal/bar.ts";

const half = { label: "pulling aaaaaaaaaaaa:", completed: 1e9, total: 2e9, rate: 2e6 };
const whole = { ...half, completed: 2e9, rate: 0 };

describe("in a terminal", () => {
  test("the bar fills the line", () => {
    const line = barLine(half, 80);
    expect(line).toBe(
      "pulling aaaaaaaaaaaa:  50% ▕█████████         ▏   1 GB/  2 GB    2 MB/s   8m20s",
    );
    expect(Bun.stringWidth(line)).toBe(79);
  });

  test("when it is done only the size is left", () => {
    expect(barLine(whole, 80)).toBe(`pulling aaaaaaaaaaaa: 100% ▕${"█".repeat(18)}▏   2 GB`);
  });

  test("a narrow line loses its bar, then its figures, and is never too long", () => {
    expect([60, 50, 44, 30, 20].map((columns) => barLine(half, columns))).toEqual([
      "pulling aaaaaaaaaaaa:  50% 1 GB/2 GB 2 MB/s 8m20s",
      "pulling aaaaaaaaaaaa:  50% 1 GB/2 GB 2 MB/s 8m20s",
      "pulling aaaaaaaaaaaa:  50% 1 GB/2 GB 2 MB/s",
      "pulling aaaaaaaaaaaa:  50%",
      "… aaaaaaaaaaaa:  50%",
    ]);
  });
});

test("outside a terminal there is text without a bar", () => {
  expect(barText(half)).toBe("pulling aaaaaaaaaaaa: 50% 1 GB/2 GB 2 MB/s 8m20s");
  expect(barText(whole)).toBe("pulling aaaaaaaaaaaa: 100% 2 GB");
});

test("a transfer of nothing is done", () => {
  expect(barText({ label: "x", completed: 0, total: 0, rate: 0 })).toBe("x 100% 0 B");
});

test("speed is that of the last ten seconds", () => {
  const rate = new Rate();
  rate.add(0, 0);
  rate.add(500, 500);
  expect(rate.perSecond).toBe(0);
  rate.add(1000, 1000);
  expect(rate.perSecond).toBe(1000);
  for (let second = 2; second <= 20; second++) rate.add(1000 + (second - 1) * 10, second * 1000);
  expect(rate.perSecond).toBe(10);
});

test("time left", () => {
  expect([0.2, 59, 60, 310, 3600, 7500, 400_000].map(timeLeft)).toEqual([
    "1s",
    "59s",
    "1m0s",
    "5m10s",
    "1h0m",
    "2h5m",
    "99h+",
  ]);
});

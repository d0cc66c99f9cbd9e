/** Which variables of the compilers children get. */
import { expect, test } from "bun:test";
import { servingCompilers, usualCompilers } from "../../../src/config/compilers.ts";

test("a child that computes gets everything but what serving set", () => {
  const environment = { HOME: "/home/x", BUN_JSC_useDFGJIT: "1", ...servingCompilers };
  expect(usualCompilers(environment)).toEqual({ HOME: "/home/x", BUN_JSC_useDFGJIT: "1" });
});

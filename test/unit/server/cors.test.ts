/** Which origins a server can be told to allow (env.md 5). */
import { describe, expect, test } from "bun:test";
import { corsPolicy } from "../../../src/server/plugins/cors.ts";

const request = (origin: string, method = "GET") =>
  new Request("http://localhost/", { method, headers: { origin, host: "localhost:11434" } });

/** Whether a policy lets an origin pass. */
const passes = (origins: string[], origin: string) =>
  corsPolicy(origins).check(request(origin)) === undefined;

describe("ORIGINS", () => {
  test("adds exact ones and patterns with one star to the defaults", () => {
    const origins = ["https://example.com", "chrome-extension://*", "*.test"];
    expect(passes(origins, "https://example.com")).toBe(true);
    expect(passes(origins, "https://example.com.evil")).toBe(false);
    expect(passes(origins, "chrome-extension://abc")).toBe(true);
    expect(passes(origins, "http://a.test")).toBe(true);
    expect(passes(origins, "http://localhost:3000")).toBe(true);
    expect(passes([], "chrome-extension://abc")).toBe(false);
  });

  test("with a lone star allows all, and says so without naming the page", () => {
    const policy = corsPolicy(["*"]);
    expect(policy.check(request("http://anywhere.example"))).toBeUndefined();
    expect(policy.headers(request("http://anywhere.example"))).toEqual({
      "access-control-allow-origin": "*",
    });
  });

  test("refuses to start with what can match nothing", () => {
    expect(() => corsPolicy(["example.com"])).toThrow(/bad origin: origins must contain '\*'/);
    expect(() => corsPolicy(["http://*.*"])).toThrow("only one * is allowed");
  });
});

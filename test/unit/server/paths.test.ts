/** Paths as routes see them, and the methods of each (api.md 1.1). */
import { expect, test } from "bun:test";
import { cleanPath, methodTable } from "../../../src/server/plugins/paths.ts";

test("a path loses doubled and trailing slashes, dot parts and needless escapes", () => {
  const paths = [
    "//api//tags/",
    "/api/./x/../tags",
    "/%61pi/t%2Dx",
    "/",
    "",
    "/../..",
    "/a%2Fb%3Ac",
  ];
  expect(paths.map(cleanPath)).toEqual([
    "/api/tags",
    "/api/tags",
    "/api/t-x",
    "/",
    "/",
    "/",
    "/a%2Fb%3Ac",
  ]);
});

test("methods come in the order of Allow, for fixed paths and patterns", () => {
  const methods = methodTable([
    { method: "POST", path: "/a" },
    { method: "GET", path: "/a" },
    { method: "HEAD", path: "/a" },
    { method: "DELETE", path: "/b/:c" },
  ]);
  expect(
    ["/a", "/b/x", "/b", "/b/x/y", "/c"].map((path) => {
      const known = methods(path);
      return known && { pattern: known.pattern, methods: known.methods };
    }),
  ).toEqual([
    { pattern: "/a", methods: ["HEAD", "GET", "POST"] },
    { pattern: "/b/:c", methods: ["DELETE"] },
    undefined,
    undefined,
    undefined,
  ]);
});

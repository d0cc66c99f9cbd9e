/**
 * `ffi/hutch.h` and the table in `ffi/symbols.ts` say the same. bun:ffi checks neither number nor
 * width of arguments, so a difference would show only as corrupt memory. The checker must first catch
 * planted defects: only then does its silence count.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { openLibrary } from "../../ffi/library.ts";
import { facts, status } from "../../ffi/native.ts";
import { abiVersion, symbols } from "../../ffi/symbols.ts";
import { haveLibrary } from "./engine/native.ts";

const root = resolve(import.meta.dir, "../..");
const header = readFileSync(join(root, "ffi/hutch.h"), "utf8");

type Table = Readonly<Record<string, { args: readonly string[]; returns: string }>>;

const ffiTypes: Readonly<Record<string, string>> = {
  int32_t: "i32",
  int64_t: "i64",
  uint32_t: "u32",
  float: "f32",
  bool: "bool",
  void: "void",
};

function ffiType(c: string): string {
  if (c.includes("*")) return "ptr";
  const type = ffiTypes[c.trim()];
  if (type === undefined) throw new Error(`no ffi type for "${c}"`);
  return type;
}

/** The prototypes of a header as a symbol table. */
function prototypes(text: string): Table {
  const found = text.matchAll(/^HUTCH_API\s+([^;(]*?[\s*])(hutch_\w+)\(([^)]*)\);/gm);
  return Object.fromEntries(
    [...found].map(([, returns = "", name = "", list = ""]) => {
      const args = list === "void" ? [] : list.split(",");
      return [
        name,
        { args: args.map((arg) => ffiType(arg.replace(/\w+\s*$/, ""))), returns: ffiType(returns) },
      ];
    }),
  );
}

/** Values of an enum, by name without its prefix. */
function enumValues(name: string, prefix: string): Record<string, number> {
  const body = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(header)?.[1] ?? "";
  const entries = [...body.matchAll(/(\w+) = (-?\d+)/g)].map(([, key = "", value]) => {
    const words = key.slice(prefix.length).toLowerCase().split("_");
    const camel = words.map((word, i) => (i === 0 ? word : word[0]?.toUpperCase() + word.slice(1)));
    return [camel.join(""), Number(value)] as const;
  });
  return Object.fromEntries(entries);
}

describe("hutch.h and symbols.ts", () => {
  test("have the same functions, arguments and results, in the same order", () => {
    expect(Object.keys(symbols)).toEqual(Object.keys(prototypes(header)));
    expect(symbols as Table).toEqual(prototypes(header));
  });

  test("have the same version", () => {
    expect(header).toContain(`#define HUTCH_ABI_VERSION ${abiVersion}\n`);
  });

  test("have the same status values and facts as native.ts", () => {
    expect(enumValues("hutch_status", "HUTCH_STATUS_")).toEqual({ ...status });
    expect(enumValues("hutch_fact", "HUTCH_FACT_")).toEqual({ ...facts });
  });
});

describe("the checker catches planted defects", () => {
  const planted: [defect: string, from: string, to: string][] = [
    ["a narrowed result", "HUTCH_API int64_t hutch_echo", "HUTCH_API int32_t hutch_echo"],
    [
      "an extra argument",
      "hutch_render(hutch_model *model,",
      "hutch_render(hutch_model *model, int32_t more,",
    ],
    ["a narrowed argument", "const char *key, int64_t value", "const char *key, int32_t value"],
    ["a missing function", "HUTCH_API int32_t hutch_physical_cores(void);", ""],
  ];
  for (const [defect, from, to] of planted) {
    test(defect, () => {
      expect(header).toContain(from);
      expect(symbols as Table).not.toEqual(prototypes(header.replace(from, to)));
    });
  }
});

const folder = join(root, "dist/lib");
describe.skipIf(!haveLibrary)("the built library", () => {
  test("has every symbol and the same version, and 64-bit values cross unharmed", () => {
    const { symbols: library } = openLibrary(folder);
    expect(library.hutch_abi_version()).toBe(abiVersion);
    for (const value of [0n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
      expect(BigInt(library.hutch_echo(value))).toBe(value);
    }
  });
});

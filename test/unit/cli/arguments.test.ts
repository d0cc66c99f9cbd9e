/** How a command line is taken apart (cli.md 1). */
import { describe, expect, test } from "bun:test";
import {
  checkCount,
  isOn,
  parseArguments,
  splitCommand,
  unknownCommand,
} from "../../../src/cli/arguments.ts";
import { commands, findCommand } from "../../../src/cli/commands.ts";

function command(name: string) {
  const found = findCommand(name);
  if (found === undefined) throw new Error(name);
  return found;
}

function parse(name: string, ...argv: string[]) {
  const { positionals, flags, help, own } = parseArguments(command(name), argv);
  return { positionals, flags: Object.fromEntries(flags), help, own };
}

describe("flags", () => {
  test("stand before, between and after arguments; -- ends them", () => {
    expect(parse("run", "--verbose", "m", "--format", "json", "a", "--", "--b")).toEqual({
      positionals: ["m", "a", "--b"],
      flags: { verbose: ["true"], format: ["json"] },
      help: false,
      own: false,
    });
  });

  test("take their value behind = or as the next word, also one that looks like a flag", () => {
    expect(parse("run", "m", "--format=", "--format", "--x", "--dimensions", "-1").flags).toEqual({
      format: ["", "--x"],
      dimensions: ["-1"],
    });
    expect(parse("create", "m", "-fa", "-f", "b").flags).toEqual({ file: ["a", "b"] });
  });

  test("--think takes a value behind = only", () => {
    expect(parse("run", "--think", "low", "m")).toMatchObject({
      positionals: ["low", "m"],
      flags: { think: ["true"] },
    });
    expect(parse("run", "--think=low", "m").flags).toEqual({ think: ["low"] });
  });

  test("can be switched off by Go's words", () => {
    const parsed = parseArguments(command("show"), ["--license=F", "-v", "m"]);
    expect([isOn(parsed, "license"), isOn(parsed, "verbose")]).toEqual([false, true]);
  });

  test("stand before the command too, and take the next word unless the bare command has them", () => {
    expect(splitCommand(["run", "m", "-v"])).toEqual({ name: "run", rest: ["m", "-v"] });
    expect(splitCommand(["--verbose", "run", "m"])).toEqual({
      name: "run",
      rest: ["--verbose", "m"],
    });
    expect(splitCommand(["--format", "json", "run", "m"])).toEqual({
      name: "run",
      rest: ["--format", "json", "m"],
    });
    expect(splitCommand(["--format=json", "run", "m"])?.name).toBe("run");
    expect(splitCommand(["-h", "list"])).toEqual({ name: "list", rest: ["-h"] });
    expect(splitCommand(["-f", "file", "create", "m"])?.name).toBe("create");
    expect(splitCommand(["-v", "extra"])?.name).toBe("extra");
    expect(splitCommand(["--nosuch", "list", "x"])?.name).toBe("x");
    expect(splitCommand(["--nosuch", "list"])).toBeUndefined();
    expect(splitCommand(["--", "list"])).toBeUndefined();
    expect(splitCommand([])).toBeUndefined();
    expect(splitCommand(["--no-server", "run", "m"], commands)?.name).toBe("run");
  });

  test("of hutch's own are told from Ollama's", () => {
    expect(parse("run", "m", "--seed", "1").own).toBe(true);
    expect(parse("embed", "m").own).toBe(true);
    expect(parse("run", "m", "--format", "json").own).toBe(false);
  });
});

describe("mistakes are told in the words that scripts know", () => {
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ["list", ["--nosuch"], "unknown flag: --nosuch"],
    ["list", ["--nosuch=1"], "unknown flag: --nosuch"],
    ["run", ["-x", "m"], "unknown shorthand flag: 'x' in -x"],
    ["list", ["-xyz"], "unknown shorthand flag: 'x' in -xyz"],
    ["show", ["-vxy", "m"], "unknown shorthand flag: 'x' in -xy"],
    [
      "run",
      ["--dimensions", "99999999999999999999", "m"],
      'invalid argument "99999999999999999999" for "--dimensions" flag: strconv.ParseInt: parsing "99999999999999999999": value out of range',
    ],
    ["run", ["m", "--format"], "flag needs an argument: --format"],
    ["create", ["m", "-f"], "flag needs an argument: 'f' in -f"],
    [
      "run",
      ["--dimensions", "a"],
      'invalid argument "a" for "--dimensions" flag: strconv.ParseInt: parsing "a": invalid syntax',
    ],
    [
      "show",
      ["--verbose=maybe"],
      'invalid argument "maybe" for "-v, --verbose" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
  ];
  for (const [name, argv, message] of cases) {
    test(`${name} ${argv.join(" ")}`, () => {
      expect(() => parse(name, ...argv)).toThrow(new Error(message));
    });
  }

  test("too few and too many arguments", () => {
    const count = (name: string, ...argv: string[]) => {
      const found = command(name);
      checkCount(found, parseArguments(found, argv));
    };
    expect(() => count("show")).toThrow("accepts 1 arg(s), received 0");
    expect(() => count("cp", "a", "b", "c")).toThrow("accepts 2 arg(s), received 3");
    expect(() => count("run")).toThrow("requires at least 1 arg(s), only received 0");
    expect(() => count("rm", "a", "b", "c")).not.toThrow();
  });

  test("a command that is near a known one", () => {
    expect(unknownCommand("lst", ["list", "create", "run"]).message).toBe(
      'unknown command "lst" for "hutch"\n\nDid you mean this?\n\tlist\n',
    );
    expect(unknownCommand("frobnicate", ["list", "ps"]).message).toBe(
      'unknown command "frobnicate" for "hutch"',
    );
  });
});

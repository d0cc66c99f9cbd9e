/** Go's `printf` verbs, for the values that templates have. */
import { goQuote } from "../../model/gojson.ts";
import { floatText, Int, printValue, Struct, TextMap, typeName } from "./values.ts";

interface Spec {
  minus: boolean;
  plus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  width: number | undefined;
  precision: number | undefined;
}

/** Widest padding: a hostile template must not ask for gigabytes. */
const widest = 10_000;

function pad(text: string, spec: Spec): string {
  const length = [...text].length;
  const missing = Math.min(spec.width ?? 0, widest) - length;
  if (missing <= 0) return text;
  if (spec.minus) return text + " ".repeat(missing);
  if (!spec.zero) return " ".repeat(missing) + text;
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  return sign + "0".repeat(missing) + text.slice(sign.length);
}

function bad(verb: string, value: unknown): string {
  if (value === undefined || value === null) return `%!${verb}(<nil>)`;
  return `%!${verb}(${typeName(value)}=${printValue(value, true)})`;
}

function signed(text: string, spec: Spec): string {
  if (text.startsWith("-")) return text;
  return spec.plus ? `+${text}` : spec.space ? ` ${text}` : text;
}

function formatInt(value: number, verb: string, spec: Spec): string | undefined {
  const big = BigInt(value);
  const digits = (radix: number) => signed(big.toString(radix), spec);
  switch (verb) {
    case "d":
    case "v":
      return digits(10);
    case "b":
      return digits(2);
    case "o":
      return spec.sharp ? digits(8).replace(/^-?/, "$&0") : digits(8);
    case "O":
      return digits(8).replace(/^-?/, "$&0o");
    case "x":
      return spec.sharp ? digits(16).replace(/^-?/, "$&0x") : digits(16);
    case "X":
      return digits(16).toUpperCase();
    case "c":
      return String.fromCodePoint(value);
    case "q":
      return `'${String.fromCodePoint(value)}'`;
    case "U":
      return `U+${value.toString(16).toUpperCase().padStart(4, "0")}`;
    default:
      return undefined;
  }
}

/** Exponents have two digits at least in Go. */
function goExponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

function formatFloat(value: number, verb: string, spec: Spec): string | undefined {
  if (!Number.isFinite(value)) return signed(floatText(value), spec);
  const precision = Math.min(spec.precision ?? 6, 100);
  switch (verb) {
    case "v":
      return signed(floatText(value), spec);
    case "f":
    case "F":
      return signed(value.toFixed(precision), spec);
    case "e":
      return signed(goExponent(value.toExponential(precision)), spec);
    case "E":
      return signed(goExponent(value.toExponential(precision)).toUpperCase(), spec);
    case "g":
    case "G": {
      if (spec.precision === undefined) {
        const exponent = value === 0 ? 0 : Number(value.toExponential().split("e")[1]);
        const text =
          exponent < -4 || exponent >= 21 ? goExponent(value.toExponential()) : String(value);
        return signed(verb === "G" ? text.toUpperCase() : text, spec);
      }
      const short = Number(value.toPrecision(Math.max(1, precision)));
      const exponent = short === 0 ? 0 : Number(short.toExponential().split("e")[1]);
      const text =
        exponent < -4 || exponent >= Math.max(1, precision)
          ? goExponent(short.toExponential())
          : String(short);
      return signed(verb === "G" ? text.toUpperCase() : text, spec);
    }
    default:
      return undefined;
  }
}

function formatString(value: string, verb: string, spec: Spec): string | undefined {
  const cut = spec.precision === undefined ? value : [...value].slice(0, spec.precision).join("");
  switch (verb) {
    case "s":
    case "v":
      return cut;
    case "q":
      return spec.sharp && !cut.includes("`") ? `\`${cut}\`` : goQuote(cut);
    case "x":
      return Buffer.from(cut).toString("hex");
    case "X":
      return Buffer.from(cut).toString("hex").toUpperCase();
    default:
      return undefined;
  }
}

/** One operand under one verb. */
function formatValue(value: unknown, verb: string, spec: Spec): string {
  if (verb === "T") return pad(typeName(value), spec);
  if (value === undefined || value === null) {
    return verb === "v" ? pad("<nil>", spec) : `%!${verb}(<nil>)`;
  }
  let text: string | undefined;
  if (typeof value === "string") text = formatString(value, verb, spec);
  else if (value instanceof Int) text = formatInt(value.value, verb, spec);
  else if (typeof value === "number") text = formatFloat(value, verb, spec);
  else if (typeof value === "boolean")
    text = verb === "t" || verb === "v" ? String(value) : undefined;
  else if (value instanceof TextMap || (value instanceof Struct && value.text !== undefined)) {
    text = formatString(printValue(value), verb, spec);
  } else if (Array.isArray(value)) {
    return `[${value.map((item) => formatValue(item, verb, spec)).join(" ")}]`;
  } else if (verb === "v" || verb === "s") {
    text = printValue(value, true);
  }
  return text === undefined ? bad(verb, value) : pad(text, spec);
}

/** `printf`. Too few or too many operands are noted in the text, as in Go. */
export function sprintf(format: string, operands: readonly unknown[]): string {
  let out = "";
  let next = 0;
  const pattern = /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d*))?(.|$)/gsu;
  let last = 0;
  for (const match of format.matchAll(pattern)) {
    out += format.slice(last, match.index);
    last = match.index + match[0].length;
    const [, flags = "", width, precision, verb = ""] = match;
    if (verb === "") {
      out += "%!(NOVERB)";
      continue;
    }
    if (verb === "%") {
      out += "%";
      continue;
    }
    const star = (text: string | undefined): number | undefined => {
      if (text === undefined) return undefined;
      if (text !== "*") return text === "" ? 0 : Number(text);
      const value = operands[next++];
      return value instanceof Int ? value.value : undefined;
    };
    const spec: Spec = {
      minus: flags.includes("-"),
      plus: flags.includes("+"),
      sharp: flags.includes("#"),
      space: flags.includes(" "),
      zero: flags.includes("0") && !flags.includes("-"),
      width: star(width),
      precision: star(precision),
    };
    if (spec.width !== undefined && spec.width < 0) {
      spec.minus = true;
      spec.width = -spec.width;
    }
    if (next >= operands.length) {
      out += `%!${verb}(MISSING)`;
      continue;
    }
    out += formatValue(operands[next++], verb, spec);
  }
  out += format.slice(last);
  if (next < operands.length) {
    const extra = operands
      .slice(next)
      .map((value) =>
        value === undefined || value === null
          ? "<nil>"
          : `${typeName(value)}=${printValue(value, true)}`,
      );
    out += `%!(EXTRA ${extra.join(", ")})`;
  }
  return out;
}

/** Comparison of template values by Go's rules: kinds must fit, nothing is converted. */
import { compareBytes } from "./bytes.ts";
import { CallError } from "./errors.ts";
import { format, noFlags } from "./print.ts";
import { Byte, Complex, entriesOf, isNothing, NilList, Struct, typeName } from "./values.ts";

type Basic = "int" | "float" | "string" | "bool" | "complex";

/** Ints and bytes are of one kind here: Go compares integers of either sort. */
function basicKind(value: unknown): Basic | undefined {
  switch (typeof value) {
    case "bigint":
      return "int";
    case "number":
      return "float";
    case "string":
      return "string";
    case "boolean":
      return "bool";
  }
  if (value instanceof Byte) return "int";
  return value instanceof Complex ? "complex" : undefined;
}

function raw(value: unknown): bigint | number | string | boolean {
  return value instanceof Byte ? value.value : (value as bigint | number | string | boolean);
}

const mismatch = "incompatible types for comparison";

function badKinds(a: unknown, b: unknown): CallError {
  return new CallError(`${mismatch}: ${typeName(a)} and ${typeName(b)}`);
}

function shape(value: unknown): string {
  if (value instanceof Struct) return "struct";
  return Array.isArray(value) ? "list" : entriesOf(value) === undefined ? "" : "map";
}

/** Whether two operands are equal. @throws CallError when they cannot be compared */
export function equal(a: unknown, b: unknown): boolean {
  const kindA = basicKind(a);
  const kindB = basicKind(b);
  const nothingA = isNothing(a);
  const nothingB = isNothing(b);
  if (kindA !== kindB) {
    if (nothingA || nothingB) return false;
    throw badKinds(a, b);
  }
  if (kindA === "complex") {
    const [x, y] = [a as Complex, b as Complex];
    return x.real === y.real && x.imaginary === y.imaginary;
  }
  if (kindA !== undefined) return raw(a) === raw(b);
  if (nothingA || nothingB) {
    return (nothingA || a instanceof NilList) === (nothingB || b instanceof NilList);
  }
  if (shape(a) !== shape(b)) {
    const show = (value: unknown) => `${format(value, "v", noFlags)}: ${typeName(value)}`;
    throw new CallError(`non-comparable types ${show(a)}, ${show(b)}`);
  }
  if (a instanceof Struct) return a === b;
  throw new CallError(`non-comparable type ${format(b, "v", noFlags)}: ${typeName(b)}`);
}

/** `eq`: the first operand equals any other. Others behind an equal one are not looked at. */
export function equalsAny(first: unknown, others: readonly unknown[]): boolean {
  if (others.length === 0) throw new CallError("missing argument for comparison");
  return others.some((other) => equal(first, other));
}

/** Strings are ordered by bytes. @throws CallError when they have no order */
export function less(a: unknown, b: unknown): boolean {
  const kindA = basicKind(a);
  const kindB = basicKind(b);
  if (kindA === undefined || kindB === undefined) {
    throw new CallError("invalid type for comparison");
  }
  if (kindA !== kindB) throw badKinds(a, b);
  if (kindA === "bool" || kindA === "complex") {
    throw new CallError("invalid type for comparison");
  }
  if (kindA === "string") return compareBytes(a as string, b as string) < 0;
  return raw(a) < raw(b);
}

/**
 * Recorded requests and good answers of the reference against `/openapi.json`: whatever a client of
 * Ollama sends and gets is documented. Skipped without the recordings, which lie beside the checkout.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type DocumentedOperation, faults, operationFor, schemaOf } from "../support/openapi.ts";

interface Step {
  readonly method: string;
  readonly path: string;
  readonly json?: unknown;
  readonly answer?: {
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly json?: unknown;
    readonly lines?: readonly unknown[];
  };
}

const folder = resolve(import.meta.dir, "../../../shared/golden/cases");
const files = existsSync(folder)
  ? readdirSync(folder).filter((name) => name.endsWith(".json"))
  : [];

/** Steps that were answered well. Paths of OpenAI's and Anthropic's API are answered with 501 here. */
function goodSteps(file: string): Step[] {
  const { cases } = JSON.parse(readFileSync(join(folder, file), "utf8"));
  const steps = (cases as { steps: Step[] }[]).flatMap((one) => one.steps);
  return steps.filter(
    ({ method, path, answer }) =>
      (answer?.status ?? 500) < 300 && method !== "OPTIONS" && !path.startsWith("/v1/"),
  );
}

/** The path as routes see it. */
function plainPath(path: string): string {
  const filled = path.replace(/\{\{.*?\}\}/g, "0");
  return decodeURIComponent(filled.split("?")[0] ?? "").replace(/\/{2,}/g, "/");
}

/** Null counts as absent. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([, item]) => item !== null);
  return Object.fromEntries(kept.map(([key, item]) => [key, withoutNulls(item)]));
}

function requestFaults({ json }: Step, { requestBody }: DocumentedOperation): string[] {
  const schema = requestBody?.content["application/json"]?.schema;
  if (schema === undefined || json === undefined || json === null) return [];
  // Names of members may be in any case, unknown ones are ignored.
  return faults(schema, withoutNulls(json)).filter((text) => !text.includes("additional"));
}

function answerFaults({ answer }: Step, operation: DocumentedOperation): string[] {
  const status = answer?.status ?? 0;
  if (operation.responses[status] === undefined) return [`status ${status} is not documented`];
  if (answer?.lines !== undefined) {
    const schema = schemaOf(operation, status, "application/x-ndjson");
    return answer.lines.flatMap((line) => faults(schema, line));
  }
  if (answer?.json === undefined) return [];
  return faults(schemaOf(operation, status, "application/json"), answer.json);
}

describe.skipIf(files.length === 0)("recorded cases fit /openapi.json", () => {
  test.each(files)("%s", (file) => {
    const wrong = goodSteps(file).flatMap((step) => {
      const where = `${step.method} ${step.path}`;
      const operation = operationFor(step.method, plainPath(step.path));
      if (operation === undefined) return [`${where}: not documented`];
      const found = [...requestFaults(step, operation), ...answerFaults(step, operation)];
      return found.map((text) => `${where}: ${text}`);
    });
    expect(wrong).toEqual([]);
  });

  test("there are many of them", () => {
    expect(files.flatMap(goodSteps).length).toBeGreaterThan(400);
  });
});

/** Checks bodies against the OpenAPI document; members that the document does not know are refused. */
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { openApiDocument } from "../../src/server/openapi/document.ts";

interface Media {
  readonly schema: object;
}

export interface DocumentedOperation {
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, Media> }>>;
}

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

/** As a client gets it. */
export const document = JSON.parse(JSON.stringify(openApiDocument("0.0.0"))) as Document;

/** Objects take only the members they name. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, closed(item)]);
  const open = "properties" in value && !("additionalProperties" in value);
  return { ...Object.fromEntries(entries), ...(open ? { additionalProperties: false } : {}) };
}

const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true });
addFormats(ajv);
ajv.addKeyword("components");
ajv.addSchema({ $id: "doc", components: closed(document.components) as object });

const checks = new Map<object, ReturnType<Ajv["compile"]>>();

/** What is wrong with a value by a schema of the document; empty when it fits. */
export function faults(schema: object, value: unknown): string[] {
  let check = checks.get(schema);
  if (check === undefined) {
    const text = JSON.stringify(closed(schema)).replaceAll('"#/', '"doc#/');
    check = ajv.compile(JSON.parse(text));
    checks.set(schema, check);
  }
  if (check(value)) return [];
  return (check.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

/** The operation that answers a method and a path; undefined when none is documented. */
export function operationFor(method: string, path: string): DocumentedOperation | undefined {
  for (const [template, operations] of Object.entries(document.paths)) {
    const pattern = new RegExp(`^${template.replace(/\{\w+\}/g, "[^/]+")}$`);
    const operation = operations[method.toLowerCase()];
    if (pattern.test(path) && operation !== undefined) return operation;
  }
  return undefined;
}

/** The schema of a documented answer; a missing one is said by name. */
export function schemaOf(operation: DocumentedOperation, status: number, type: string): object {
  const schema = operation.responses[status]?.content?.[type]?.schema;
  if (schema === undefined) throw new Error(`no answer ${status} of type ${type} is documented`);
  return schema;
}

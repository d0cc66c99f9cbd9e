/**
 * What Go checks inside a tool's parameters (`api.ToolFunctionParameters`, api.md 7.3): types of the
 * fields that it knows, however deep. The JSON schema itself is kept as the client wrote it.
 */
import type { Shape } from "./go-body.ts";

/** What the decoder of maps that keep their order says of anything else. */
export const noMap = "Value looks like object, but can't find closing '}' symbol";

const text: Shape = { type: "string", go: "string" };
const texts: Shape = { type: "array", items: text, go: "[]string" };

const property: Shape = {
  type: "object",
  go: "api.ToolProperty",
  properties: {
    anyOf: {
      type: "array",
      go: "[]api.ToolProperty",
      items: { type: "object", go: "api.ToolProperty", inside: () => property },
    },
    type: { ...texts, own: true, or: "string" },
    description: text,
    enum: { type: "array", go: "[]interface {}" },
    properties: { type: "object", own: true, inside: () => properties, refusal: noMap },
    required: texts,
  },
};

const properties: Shape = {
  type: "object",
  own: true,
  refusal: noMap,
  additionalProperties: { ...property, own: true },
};

export const toolParameters: Shape = {
  type: "object",
  struct: "ToolFunctionParameters",
  properties: { type: text, required: texts, properties },
};

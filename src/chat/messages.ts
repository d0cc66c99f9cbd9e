/**
 * What conversations are made of. The shapes and names are those of the wire (api.md 6), so that a
 * request's messages and tools are used as they came; fields that a request may leave out are optional.
 */

/** `think` of a request: off, on, or on with a level; undefined = not given. */
export type ThinkValue = boolean | "low" | "medium" | "high" | "max";

export interface ToolCall {
  readonly id?: string;
  readonly function: {
    readonly index?: number;
    readonly name: string;
    /** Keys in the order in which they were written. */
    readonly arguments: Readonly<Record<string, unknown>>;
  };
}

export interface ChatMessage {
  /** Lower case; any word passes. */
  readonly role: string;
  readonly content: string;
  readonly thinking?: string;
  /** Base64. */
  readonly images?: readonly string[];
  readonly tool_calls?: readonly ToolCall[];
  readonly tool_name?: string;
  readonly tool_call_id?: string;
}

/** The part of JSON Schema that templates and parsers look at; other keywords are kept, not read. */
export interface ToolProperty {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly items?: unknown;
  readonly anyOf?: readonly ToolProperty[];
  readonly properties?: Readonly<Record<string, ToolProperty>>;
  readonly required?: readonly string[];
}

export interface Tool {
  readonly type?: string;
  readonly items?: unknown;
  readonly function: {
    readonly name: string;
    readonly description?: string;
    readonly parameters?: {
      readonly type?: string;
      readonly $defs?: unknown;
      readonly items?: unknown;
      readonly required?: readonly string[];
      readonly properties?: Readonly<Record<string, ToolProperty>>;
    };
  };
}

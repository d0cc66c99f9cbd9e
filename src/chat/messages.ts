/** What conversations are made of: messages, tool calls, tools and the wish to think (api.md 6). */

/** Whether the caller wants thinking; where one is undefined, the caller said nothing. */
export interface ThinkWish {
  readonly on: boolean;
  /** `low`, `medium`, `high` or `max`; `medium` for plain true, empty when off. */
  readonly level: string;
  /** The caller named the level, rather than saying true. */
  readonly named?: boolean;
}

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
  readonly toolCalls?: readonly ToolCall[];
  readonly toolName?: string;
  readonly toolCallId?: string;
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

/** What a prompt is made of. */
export interface Conversation {
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly Tool[];
  /** A list of tools was sent, be it an empty one: Go templates print that as `[]`, none as `null`. */
  readonly toolsSent?: boolean;
  readonly think: ThinkWish | undefined;
}

/** What a chat session knows; the loop and its commands share it. */
import type { RunSettings } from "../answer.ts";
import type { Client, Json } from "../client.ts";
import type { Context } from "../context.ts";
import type { Message } from "../run-flags.ts";
import type { History } from "./history.ts";

export interface Session {
  readonly context: Context;
  readonly client: Client;
  readonly history: History;
  settings: RunSettings;
  /** Answer of show for the model. */
  info: Json;
  /** Set by the user; empty leaves the model's own. */
  system: string;
  messages: Message[];
}

export function capabilitiesOf(info: Json): string[] {
  return Array.isArray(info.capabilities) ? info.capabilities.map(String) : [];
}

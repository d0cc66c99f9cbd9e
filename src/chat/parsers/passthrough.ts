/** Everything is content. */
import type { NamedParser } from "./table.ts";

export const passthrough: NamedParser = {
  tools: false,
  thinking: false,
  preserved: [],
  create: () => ({ add: (text) => ({ content: text, thinking: "", calls: [] }) }),
};

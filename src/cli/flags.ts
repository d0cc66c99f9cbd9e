/** Flags that several commands have. */
import type { Flag } from "./command.ts";

export const insecure: Flag = { name: "insecure", kind: "bool", help: "Use an insecure registry" };
export const quiet: Flag = { name: "quiet", kind: "bool", help: "Show no progress", own: true };
export const keepalive: Flag = {
  name: "keepalive",
  kind: "duration",
  help: "Duration to keep a model loaded (e.g. 5m)",
};

/** Of every command that works on models: whom to ask. */
export const target: readonly Flag[] = [
  { name: "server", kind: "text", help: "Ask the server at this address", own: true },
  { name: "no-server", kind: "bool", help: "Work in this process, whoever runs", own: true },
];

export const lockFile: Flag = {
  name: "lock-file",
  kind: "text",
  help: 'File with the pinned models (default "models.lock")',
  own: true,
  values: "files",
};

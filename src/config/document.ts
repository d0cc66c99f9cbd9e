/** Renders the table of variables as `docs/variables.md`, so that page and code cannot drift. */
import { variables } from "./variables.ts";

const kinds = {
  text: "text",
  bool: "`1`/`true` or `0`/`false`",
  tristate: "`1`/`true`, `0`/`false`, or unset",
  count: "whole number ≥ 0",
  duration: "duration (`5m`, `1h30m`) or seconds; negative = for ever",
  list: "texts separated by commas",
  bytes: "bytes (`1500000000`, `512M`, `6G`)",
} as const;

/** The whole page, ending in a newline. */
export function variablesPage(): string {
  const rows = Object.entries(variables).map(([name, variable]) => {
    const names = variable.ollama ? `\`HUTCH_${name}\`, \`OLLAMA_${name}\`` : `\`HUTCH_${name}\``;
    const fallback = variable.fallback === "" ? "unset" : `\`${variable.fallback}\``;
    return `| ${names} | ${variable.help} | ${kinds[variable.kind]} | ${fallback} | ${variable.reader} |`;
  });
  return `# Environment variables

Made from \`src/config/variables.ts\` by \`bun run docs\`; a test holds the two together.

Where two names stand, the first wins. White space and quotes around a value are dropped; an empty
value counts as unset. A value that cannot be used is reported in the log and its default taken.

| Variable | Meaning | Value | Default | Read by |
|---|---|---|---|---|
${rows.join("\n")}

\`HOST\` may be a host, \`host:port\`, \`:port\`, or a URL. Without a scheme the port is 11434; \`http://\`
means port 80 and \`https://\` 443 unless one is given. A server ignores scheme and path.
`;
}

if (import.meta.main) {
  await Bun.write(new URL("../../docs/variables.md", import.meta.url), variablesPage());
}

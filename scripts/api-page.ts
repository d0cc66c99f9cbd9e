/** Renders `docs/api.md` from the list of operations and the schemas of bodies, so that they cannot drift. */
import {
  type Component,
  components,
  type Operation,
  operations,
} from "../src/server/openapi/operations.ts";

interface Shape {
  readonly type?: string;
  readonly description?: string;
  readonly items?: Shape;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly anyOf?: readonly Shape[];
}

/** `number or text`, `list of text`: what a field holds, for people. */
function kindOf({ type, items, anyOf }: Shape): string {
  if (anyOf !== undefined) return anyOf.map(kindOf).join(" or ");
  if (type === "array") return `list of ${items === undefined ? "anything" : kindOf(items)}`;
  const words: Record<string, string> = {
    string: "text",
    integer: "whole number",
    boolean: "bool",
  };
  return words[type ?? ""] ?? type ?? "anything";
}

function fields(component: Component): string {
  const { properties = {} } = components[component] as Shape;
  const rows = Object.entries(properties).map(
    ([name, shape]) => `| \`${name}\` | ${kindOf(shape)} | ${shape.description ?? ""} |`,
  );
  return ["| field | value | meaning |", "|---|---|---|", ...rows].join("\n");
}

function answersOf({ answers }: Operation): string {
  return Object.entries(answers)
    .map(([status, { json, lines, text }]) => {
      const what = lines === undefined ? (json ?? text ?? "no body") : `${lines}, or lines of it`;
      return `${status} ${what}`;
    })
    .join("; ");
}

function table(tag: Operation["tag"]): string {
  const rows = Object.entries(operations)
    .filter(([, operation]) => operation.tag === tag)
    .map(([key, operation]) => {
      const answers = answersOf(operation) || "–";
      return `| \`${key}\` | ${operation.summary} | ${answers} | ${operation.errors?.join(", ") ?? ""} |`;
    });
  return ["| route | does | answers | errors |", "|---|---|---|---|", ...rows].join("\n");
}

const bodies = [
  ["POST /api/generate", "GenerateRequest"],
  ["POST /api/chat", "ChatRequest"],
  ["A message", "Message"],
  ["POST /api/embed", "EmbedRequest"],
  ["POST /api/show", "ShowRequest"],
  ["POST /api/create", "CreateRequest"],
  ["POST /api/pull, POST /api/push", "TransferRequest"],
  ["POST /api/copy", "CopyRequest"],
  ["DELETE /api/delete", "DeleteRequest"],
] as const;

const beginning = `# The API

Ollama's HTTP API, with a few things more. A running server describes it all, every field of every body and
answer, as an OpenAPI document:

\`\`\`sh
curl -s http://127.0.0.1:11434/openapi.json
\`\`\`

This page is made from the same list of routes and schemas by \`bun run docs\`; what is hutch's own is explained in
[additions.md](additions.md).

## Asking

\`\`\`sh
curl -s http://127.0.0.1:11434/api/generate -d '{"model": "guide", "prompt": "What can you do?", "stream": false}'
curl -s http://127.0.0.1:11434/api/chat -d '{"model": "guide", "messages": [{"role": "user", "content": "Hello"}]}'
curl -s http://127.0.0.1:11434/api/embed -d '{"model": "guide", "input": ["one text", "another"]}'
\`\`\`

Any client of Ollama's works. In JavaScript (\`npm install ollama\`):

\`\`\`js
import { Ollama } from "ollama";

const client = new Ollama({ host: "http://127.0.0.1:11434" });
const messages = [{ role: "user", content: "Hello" }];
for await (const piece of await client.chat({ model: "guide", messages, stream: true })) {
  process.stdout.write(piece.message.content);
}
\`\`\`

In Python (\`pip install ollama\`):

\`\`\`python
from ollama import Client

client = Client(host="http://127.0.0.1:11434")
answer = client.chat(model="guide", messages=[{"role": "user", "content": "Hello"}])
print(answer.message.content)
\`\`\`

## How bodies are read and answered

- Bodies are JSON. The content type is not looked at, names of members may be in any case, unknown ones are
  ignored, \`null\` counts as absent.
- \`generate\`, \`chat\`, \`create\`, \`pull\` and \`push\` answer with \`application/x-ndjson\`: one JSON object a
  line, as it comes. With \`"stream": false\` there is one object.
- An error is \`{"error": "text"}\` with its status. After the first line of a stream it is the last line, and
  no object has \`"done": true\`. \`X-Hutch-Error\` names the kind of error in one word.
- Durations are nanoseconds. Times are RFC 3339.
- Every answer has \`X-Request-Id\`: the request's own, or a new one. The log has it too.
  A fake server's (\`hutch serve --fake\`) have \`X-Hutch-Fake: true\`.
- 503 comes with \`Retry-After\`: too many requests wait, or the server is ending.
`;

/** The whole page, ending in a newline. */
export function apiPage(): string {
  const sections = [
    ["Answers and vectors", table("inference")],
    ["Models", table("models")],
    ["For those who run a server", table("operations")],
    ["hutch's own", table("hutch")],
    [
      "Known paths that are not served",
      `They answer with an error that says why.\n\n${table("unavailable")}`,
    ],
    ...bodies.map(([title, component]) => [`Body of ${title}`, fields(component)] as const),
  ] as const;
  const text = sections.map(([title, body]) => `## ${title}\n\n${body}\n`).join("\n");
  return `${beginning}\n${text}`.replace("## Body of A message", "## A message");
}

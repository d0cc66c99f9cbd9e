/**
 * Bodies of requests with bytes or values changed at random, from a fixed seed: each is answered in time, with
 * JSON, and an error has a text. Nothing of it counts as a bug of the server.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Application, openApplication } from "../support/application.ts";
import { ggufBytes } from "../support/gguf.ts";

const rounds = 10_000;
/** Far above what any of them takes, far below a hang. */
const patienceMs = 2_000;

let application: Application;
beforeAll(async () => {
  application = openApplication();
  const template =
    "{{ range .Messages }}<{{ .Role }}>{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}{{ if .ToolCalls }}<call>{{ range .ToolCalls }}{{ .Function.Arguments }}{{ end }}{{ end }}{{ end }}{{ .Tools }}{{ if .Suffix }}{{ .Suffix }}{{ end }}";
  await application.create("m", { template, parameters: { stop: ["\n\n"], num_ctx: 256 } });
});
afterAll(() => application[Symbol.asyncDispose]());

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const digest = `sha256:${new Bun.CryptoHasher("sha256").update(ggufBytes()).digest("hex")}`;
const tools = [
  {
    type: "function",
    function: {
      name: "f",
      description: "d",
      parameters: { type: "object", properties: { a: { type: "string" } }, required: ["a"] },
    },
  },
];
const seeds: readonly (readonly [method: string, path: string, body: unknown])[] = [
  [
    "POST",
    "/api/generate",
    {
      model: "m",
      prompt: "Hi",
      stream: false,
      options: { seed: 1, stop: ["x"], temperature: 0.5 },
    },
  ],
  [
    "POST",
    "/api/generate",
    { model: "m", prompt: "Hi", suffix: "s", context: [1, 2, 300], keep_alive: "5m", think: true },
  ],
  [
    "POST",
    "/api/generate",
    {
      model: "m",
      prompt: "Hi",
      template: "{{ .Prompt }}{{ range .Messages }}a{{ end }}",
      system: "s",
      raw: false,
      images: ["aGk="],
    },
  ],
  [
    "POST",
    "/api/chat",
    {
      model: "m",
      messages: [{ role: "user", content: "Hi", images: ["aGk="] }],
      logprobs: true,
      top_logprobs: 3,
    },
  ],
  [
    "POST",
    "/api/chat",
    {
      model: "m",
      stream: false,
      tools,
      messages: [
        { role: "system", content: "s" },
        { role: "user", content: "Hi" },
        {
          role: "assistant",
          content: "",
          thinking: "t",
          tool_calls: [{ id: "1", function: { name: "f", arguments: { a: "b" } } }],
        },
        { role: "tool", content: "r", tool_name: "f" },
      ],
    },
  ],
  [
    "POST",
    "/api/chat",
    {
      model: "m",
      messages: [{ role: "user", content: "\u00e9\u{1f600} <|im_end|>" }],
      think: "high",
      options: { num_ctx: 64, num_predict: 5, num_keep: -1 },
      truncate: true,
      shift: false,
    },
  ],
  ["POST", "/api/embed", { model: "m", input: ["a", "b"], dimensions: 2, truncate: true }],
  ["POST", "/api/embeddings", { model: "m", prompt: "a", options: { num_thread: 1 } }],
  ["POST", "/api/show", { model: "m", verbose: true, system: "s", options: { top_k: 3 } }],
  [
    "POST",
    "/api/create",
    {
      model: "n",
      files: { "a.gguf": digest },
      template: "{{ .Prompt }}",
      parameters: { temperature: 1, stop: ["a"] },
      license: ["l"],
      messages: [{ role: "user", content: "c" }],
      stream: false,
    },
  ],
  ["POST", "/api/copy", { source: "m", destination: "c" }],
  ["DELETE", "/api/delete", { model: "c" }],
];

/** One to four changes: a byte, a byte more or less, a piece twice or moved, the end cut off. */
function mutated(bytes: Uint8Array, random: () => number): Uint8Array {
  let out = [...bytes];
  const place = () => Math.floor(random() * (out.length + 1));
  const telling = '{}[]":,\\0123456789-.eEtfn \u0000\u001f\u007f\u00c3\u00ff';
  const byte = () =>
    random() < 0.5
      ? Math.floor(random() * 256)
      : telling.charCodeAt(Math.floor(random() * telling.length));
  const changes = 1 + Math.floor(random() * 4);
  for (let i = 0; i < changes; i++) {
    const at = place();
    const kind = Math.floor(random() * 6);
    if (kind === 0) out[Math.min(at, out.length - 1)] = byte();
    else if (kind === 1) out.splice(at, 0, byte());
    else if (kind === 2) out.splice(at, 1 + Math.floor(random() * 8));
    else if (kind === 3) out.splice(place(), 0, ...out.slice(at, at + Math.floor(random() * 40)));
    else if (kind === 4) out.splice(place(), 0, ...out.splice(at, Math.floor(random() * 20)));
    else if (random() < 0.2) out = out.slice(0, at);
  }
  return Uint8Array.from(out);
}

const values: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e308,
  2 ** 53,
  "",
  "a",
  "<|im_end|>",
  "\ud800",
  "{{",
  [],
  {},
  [[]],
  { a: 1 },
  ["x", 1],
];

/** The same value with one node, somewhere, replaced or removed. */
function bent(value: unknown, random: () => number): unknown {
  const pick = () => values[Math.floor(random() * values.length)];
  if (typeof value !== "object" || value === null || random() < 0.1) return pick();
  const keys = Object.keys(value);
  const chosen = keys[Math.floor(random() * keys.length)];
  if (chosen === undefined) return pick();
  const entries = Object.entries(value)
    .filter(([key]) => key !== chosen || random() < 0.9)
    .map(([key, item]) => [key, key === chosen ? bent(item, random) : item] as const);
  return Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries);
}

function late(ms: number): Promise<never> {
  return new Promise((_, reject) => setTimeout(() => reject(new Error("no answer")), ms).unref());
}

/** What is wrong with an answer; undefined for nothing. */
async function fault(answer: Response): Promise<string | undefined> {
  const text = await answer.text();
  const type = answer.headers.get("content-type") ?? "";
  if (type === "application/x-ndjson") {
    for (const line of text.trimEnd().split("\n")) JSON.parse(line);
    return undefined;
  }
  if (text === "") return answer.status < 400 ? undefined : "an error without a text";
  const body = JSON.parse(text) as { error?: unknown };
  if (answer.status < 400) return undefined;
  return typeof body.error === "string" && body.error !== ""
    ? undefined
    : "an error without a text";
}

test(`${rounds} bodies with bytes or values changed at random are answered`, async () => {
  const random = randomFrom(20261126);
  const encoder = new TextEncoder();
  for (let round = 0; round < rounds; round++) {
    const [method, path, body] = seeds[Math.floor(random() * seeds.length)] ?? seeds[0] ?? [];
    if (method === undefined || path === undefined) throw new Error("no seed");
    // Half of them stay JSON, so that what comes after reading is reached too.
    const text = JSON.stringify(round % 2 === 0 ? bent(body, random) : body);
    const bytes = round % 2 === 0 ? encoder.encode(text) : mutated(encoder.encode(text), random);
    const request = new Request(`http://localhost${path}`, { method, body: bytes });
    const told = `${method} ${path} ${JSON.stringify(new TextDecoder().decode(bytes))}`;
    try {
      const work = application.app.handle(request).then(fault);
      const found = await Promise.race([work, late(patienceMs)]);
      if (found !== undefined) throw new Error(found);
    } catch (error) {
      throw new Error(`round ${round}: ${told}: ${error}`, { cause: error });
    }
    expect(application.errors, told).toEqual([]);
  }
}, 120_000);

/** Whether a block of a page is well-formed in its language. Blocks that are run are checked as well. */
import { parseAllDocuments } from "yaml";
import { decodeModelfile, parseModelfile } from "../../src/model/modelfile/parse.ts";
import type { Block } from "./documents.ts";

function shell(program: string, text: string): void {
  const found = Bun.which(program);
  if (found === null) return;
  const { exitCode, stderr } = Bun.spawnSync([found, "-n"], { stdin: Buffer.from(text) });
  if (exitCode !== 0) throw new Error(stderr.toString());
}

/** The documents of a YAML text. @throws Error naming line and fault */
export function yamlOf(text: string): unknown[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS();
  });
}

/** Sections, comments and `Key=value`, as in systemd's units. */
function unit(text: string): void {
  for (const line of text.split("\n")) {
    if (!/^(|[#;].*|\[\w+\]|[A-Za-z]+=.*)$/.test(line))
      throw new Error(`no line of a unit: ${line}`);
  }
}

/** Directives that end in `;` or `{`, with as many `}` as `{`. */
function nginx(text: string): void {
  let depth = 0;
  for (const line of text.split("\n").map((one) => one.replace(/#.*/, "").trim())) {
    if (line !== "" && !/[;{}]$/.test(line)) throw new Error(`no directive: ${line}`);
    if (line.endsWith("{")) depth++;
    if (line === "}") depth--;
  }
  if (depth !== 0) throw new Error("braces do not match");
}

function script(loader: "js" | "ts", text: string): void {
  new Bun.Transpiler({ loader }).transformSync(text);
}

const languages: Readonly<Record<string, (text: string) => void>> = {
  sh: (text) => shell("sh", text),
  bash: (text) => shell("bash", text),
  zsh: (text) => shell("zsh", text),
  fish: (text) => shell("fish", text),
  json: (text) => void JSON.parse(text),
  jsonl: (text) => void text.split("\n").map((line) => JSON.parse(line)),
  yaml: (text) => void yamlOf(text),
  modelfile: (text) => void parseModelfile(decodeModelfile(Buffer.from(text))),
  ini: unit,
  nginx,
  js: (text) => script("js", text),
  ts: (text) => script("ts", text),
  // Python says what is wrong when it runs it; text is compared.
  python: () => undefined,
  text: () => undefined,
};

/** @throws Error for a language that nobody knows, and for what is malformed */
export function checkBlock({ language, text }: Block): void {
  const check = languages[language];
  if (check === undefined)
    throw new Error(`blocks of ${JSON.stringify(language)} cannot be checked`);
  check(text);
}

/**
 * The store after each operation, as recorded: manifests and configurations byte for byte, files added
 * and removed, modes. Only the model's own layer differs: the reference rewrites a GGUF, hutch keeps it.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { haveExecutable } from "../../support/executable.ts";
import { startCaseServer } from "./server.ts";

const recordedPath = resolve(import.meta.dir, "../../../../shared/golden/models/store.json");
const model = resolve(import.meta.dir, "../../../../shared/data/llm/stories260K-f32.gguf");
const ready = haveExecutable && existsSync(recordedPath) && existsSync(model);

interface Step {
  readonly do: string;
  readonly added: Readonly<Record<string, string | readonly [mode: string, size: number]>>;
  readonly removed: readonly string[];
  readonly file_texts?: Readonly<Record<string, string>>;
}

type Tree = Map<string, string>;

/** Path → mode of everything in a store, folders with a `/` at the end. */
function treeOf(root: string, place = "", tree: Tree = new Map()): Tree {
  for (const entry of readdirSync(join(root, place))) {
    const path = place === "" ? entry : `${place}/${entry}`;
    const stat = statSync(join(root, path));
    const mode = `0o${(stat.mode & 0o777).toString(8)}`;
    if (stat.isDirectory()) {
      tree.set(`${path}/`, mode);
      treeOf(root, path, tree);
    } else tree.set(path, mode);
  }
  return tree;
}

describe.skipIf(!ready)("the recorded store", () => {
  test("after creating, copying and deleting", async () => {
    const { steps } = JSON.parse(readFileSync(recordedPath, "utf8")) as { steps: Step[] };
    await using server = await startCaseServer();
    const root = join(server.server.home, ".ollama/models");
    const files = await server.upload({ "m.gguf": model });
    const [own = ""] = Object.values(files);
    // The reference's copy of the GGUF, by digest and size.
    const theirs = "e648960e89ff79d4cacbc01b4a0843c0e830c4ae338d04b5f57a541a6114ce3e";
    const asOurs = (text: string) =>
      text
        .replaceAll(theirs, own.slice("sha256:".length))
        .replaceAll('"size":1185344', `"size":${statSync(model).size}`);
    const made = (name: string, more: Record<string, unknown>) =>
      server.create({ model: name, stream: false, ...more });
    const ask = (method: string, path: string, body: unknown) =>
      server.server.request(method, path, body).then((answer) => answer.text());
    const tale = {
      files,
      template: "{{ .System }} {{ .Prompt }}",
      system: 'Tell <b> & "tales" \u2014 na\u00efve\u2028',
      license: ["MIT", "Second"],
      parameters: {
        num_ctx: 1048576,
        seed: 1,
        stop: ["<|end|>", "USER:"],
        temperature: 0.7,
        top_p: 0.95,
      },
      messages: [
        { role: "user", content: "Hi & <hello>" },
        { role: "assistant", content: "Once" },
      ],
    };
    const actions: Record<string, () => Promise<unknown>> = {
      "create tale from the GGUF with template, system, parameters, 2 licences, 2 messages": () =>
        made("tale", tale),
      "create derived from tale: parameters, system": () =>
        made("derived", { from: "tale", parameters: { temperature: 0 }, system: "Short." }),
      "create tale again with the same request": () => made("tale", tale),
      "create derived again with another system": () =>
        made("derived", { from: "tale", system: "Other." }),
      "create derived from derived with a third licence": () =>
        made("derived", { from: "derived", license: "Third" }),
      "copy derived to team/derived:v1": () =>
        ask("POST", "/api/copy", { source: "derived", destination: "team/derived:v1" }),
      "copy tale to itself": () =>
        ask("POST", "/api/copy", { source: "tale", destination: "tale" }),
      "create Foo/MyModel:X from tale": () => made("Foo/MyModel:X", { from: "tale" }),
      "create bar/mymodel:x from tale": () => made("bar/mymodel:x", { from: "tale" }),
      "delete Foo/MyModel:X": () => ask("DELETE", "/api/delete", { model: "Foo/MyModel:X" }),
      "delete bar/mymodel:x": () => ask("DELETE", "/api/delete", { model: "bar/mymodel:x" }),
      "delete tale again": () => ask("DELETE", "/api/delete", { model: "tale-that-is-not" }),
    };
    let done = 0;
    for (const step of steps) {
      const action = actions[step.do];
      if (action === undefined) continue;
      done++;
      const before = treeOf(root);
      await action();
      const after = treeOf(root);
      const added = [...after].filter(([path]) => !before.has(path));
      const want = Object.entries(step.added)
        // Ours was uploaded; manifests that are replaced count as added there.
        .filter(([path]) => !path.includes(theirs) && !before.has(path))
        .map(([path, mode]) => [path, typeof mode === "string" ? mode : mode[0]] as const);
      expect(added.sort(), step.do).toEqual(want.toSorted() as [string, string][]);
      const removed = [...before.keys()].filter((path) => !after.has(path)).sort();
      // A copy of nothing leaves a folder there, which a later deletion takes along.
      const expected = step.removed.filter((path) => before.has(path)).toSorted();
      expect(removed, step.do).toEqual(expected);
      for (const [path, text] of Object.entries(step.file_texts ?? {})) {
        expect(readFileSync(join(root, path), "utf8"), step.do).toBe(asOurs(text));
      }
    }
    expect(done).toBe(Object.keys(actions).length);
  });
});

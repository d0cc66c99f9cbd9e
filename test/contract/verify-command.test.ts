/** `hutch verify`, `export` and `import` as commands, on a store in a folder of its own. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArguments } from "../../src/cli/arguments.ts";
import { Client } from "../../src/cli/client.ts";
import { commands, findCommand } from "../../src/cli/commands.ts";
import type { Application } from "../support/application.ts";
import { testContext } from "../support/command-line.ts";
import type { FakeRegistry } from "../support/fake-registry.ts";
import { withRegistry } from "../support/with-registry.ts";

let application: Application;
let registry: FakeRegistry;
withRegistry({}, (scene) => {
  ({ application, registry } = scene);
});

/** Runs a command line; returns its exit code and what it printed. */
async function hutch(...argv: string[]): Promise<[code: number, out: string]> {
  const command = findCommand(argv[0] ?? "");
  if (command === undefined) throw new Error(`no command ${argv[0]}`);
  const client = new Client("http://localhost", (request) => application.app.handle(request));
  const context = {
    ...testContext({ env: { HOME: application.home } }),
    client: async () => client,
  };
  const code = await command.run(context, parseArguments(command, argv.slice(1)), commands);
  return [code, context.printed.out];
}

const folder = () => join(application.store.root, "blobs");
const damage = () => {
  const [first = ""] = readdirSync(folder()).toSorted();
  writeFileSync(join(folder(), first), "other");
  return first.replace("-", ":");
};

test("verify says that all is sound, or what is not, by its exit code too", async () => {
  await application.create("m");
  expect(await hutch("verify")).toEqual([0, "1 model, 2 blobs, 566 B: all sound\n"]);
  const digest = damage();
  const [code, out] = await hutch("verify", "m");
  expect(code).toBe(1);
  expect(out).toMatch(new RegExp(`^damaged ${digest} \\(m:latest\\): its content is sha256:`));
  expect(out).toEndWith("1 problem in 1 model: hutch verify --repair pulls them again\n");
  await expect(hutch("verify", "nosuch")).rejects.toThrow("model 'nosuch' not found");
});

test("verify --repair pulls what is damaged; what cannot be pulled stays as it is", async () => {
  const name = `${registry.host}/u/m:latest`;
  await application.create(name);
  await application.lines("/api/push", { model: name, insecure: true });
  damage();
  const [code, out] = await hutch("verify", "--repair", "--insecure");
  expect([code, out.split("\n").at(-2)]).toEqual([0, `repaired ${name}`]);
  expect((await hutch("verify"))[0]).toBe(0);
  registry.manifests.clear();
  damage();
  const before = readdirSync(folder()).toSorted();
  const [failed, told] = await hutch("verify", "--repair", "--insecure");
  expect([failed, told.split("\n").at(-2)]).toEqual([
    1,
    `could not repair ${name}: pull model manifest: file does not exist`,
  ]);
  expect(readdirSync(folder()).toSorted()).toEqual(before);
});

test("export and import say what they did", async () => {
  await application.create("m");
  const file = join(application.home, "m.tar");
  expect(await hutch("export", "m", file)).toEqual([0, `exported 'm:latest' to '${file}'\n`]);
  await application.send("DELETE", "/api/delete", { model: "m" });
  expect(await hutch("import", file)).toEqual([0, "imported 'm:latest'\n"]);
  expect(await hutch("import", file, "--name=n")).toEqual([0, "imported 'n:latest'\n"]);
  expect((await hutch("verify"))[0]).toBe(0);
  await expect(hutch("export", "nosuch", `${file}2`)).rejects.toThrow("model 'nosuch' not found");
  expect(existsSync(`${file}2`)).toBe(false);
});

/** The build's lock. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withLock } from "../../../scripts/build/lock.ts";

let folder: string;
let file: string;
const modulePath = join(import.meta.dir, "../../../scripts/build/lock.ts");

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hutch-lock-"));
  file = join(folder, "below", "lock");
});

afterEach(() => rmSync(folder, { recursive: true }));

test("a second build waits, says so once, and goes on when the first has ended", async () => {
  const order: string[] = [];
  const started = Promise.withResolvers<void>();
  const waiting = Promise.withResolvers<void>();
  const first = withLock(
    file,
    () => order.push("first waits"),
    async () => {
      started.resolve();
      await waiting.promise;
      order.push("first ends");
    },
  );
  await started.promise;
  const onWait = () => {
    order.push("second waits");
    waiting.resolve();
  };
  await withLock(file, onWait, async () => {
    order.push("second works");
  });
  await first;
  expect(order).toEqual(["second waits", "first ends", "second works"]);
});

test("a failed build lets go", async () => {
  const failing = withLock(
    file,
    () => {},
    () => Promise.reject(new Error("no")),
  );
  await expect(failing).rejects.toThrow("no");
  expect(
    await withLock(
      file,
      () => {},
      async () => "done",
    ),
  ).toBe("done");
});

test("a killed build lets go", async () => {
  const program = `import { withLock } from ${JSON.stringify(modulePath)};
    await withLock(${JSON.stringify(file)}, () => {}, () => {
      console.log("held");
      return new Promise(() => setInterval(() => {}, 1000));
    });`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe" });
  await child.stdout.getReader().read();
  let waited = false;
  const onWait = () => {
    waited = true;
    child.kill("SIGKILL");
  };
  expect(await withLock(file, onWait, async () => "done")).toBe("done");
  expect(waited).toBe(true);
});

/** A disk that is too small, on a small file system of its own (needs the right to mount one). */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openApplication } from "../support/application.ts";
import { sha256, startFakeRegistry } from "../support/fake-registry.ts";

const folder = mkdtempSync(join(tmpdir(), "hutch-full-"));
const mounted =
  process.platform === "linux" &&
  Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]).exitCode === 0;
afterAll(() => {
  if (mounted) Bun.spawnSync(["umount", folder]);
  rmSync(folder, { recursive: true, force: true });
});

const big = new Uint8Array(6 * 2 ** 20).fill(3);

describe.skipIf(!mounted)("a full disk", () => {
  test("is told before the first byte, or in the middle, and leaves nothing to be seen", async () => {
    await using registry = startFakeRegistry();
    await using application = openApplication({ env: { HUTCH_MODELS: join(folder, "models") } });
    const config = "application/vnd.docker.container.image.v1+json";
    const model = registry.publish("u/m", [
      { mediaType: config, content: Uint8Array.of(123, 125) },
      { mediaType: "application/vnd.ollama.image.model", content: big },
    ]);
    const pull = async () => {
      const { body } = await application.post("/api/pull", {
        model,
        insecure: true,
        stream: false,
      });
      return (body as { error?: string }).error ?? "no error";
    };
    expect(await pull()).toMatch(/^not enough disk space in .*: \d+ bytes needed, \d+ bytes free$/);
    expect(registry.seen.filter(({ path }) => path.includes("/blobs/"))).toEqual([]);
    // A registry that does not say how large the blob is: found out while writing.
    const manifest = { layers: [{ mediaType: "x", digest: sha256(big), size: 0 }] };
    registry.manifests.set("u/m:latest", new TextEncoder().encode(JSON.stringify(manifest)));
    expect(await pull()).toMatch(/^write .*-partial: no space left on device$/);
    expect(await (await application.send("GET", "/api/tags")).json()).toEqual({ models: [] });
    const left = readdirSync(join(folder, "models/blobs"));
    expect(left.filter((file) => !/-partial(-0)?$/.test(file))).toEqual([]);
  });
});

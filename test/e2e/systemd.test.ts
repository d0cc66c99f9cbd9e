/** hutch as a service of a real systemd, installed by install.sh: started at boot, or by a connection. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { executable, haveExecutable } from "../support/executable.ts";
import { makeMirror } from "../support/mirror.ts";
import { bootSystemd, canBootSystemd, type Systemd } from "../support/systemd.ts";
import { until } from "../support/until.ts";

const proxy = ["/usr/lib/systemd/systemd-socket-proxyd", "/lib/systemd/systemd-socket-proxyd"];

describe.skipIf(!haveExecutable || !canBootSystemd)("under systemd", () => {
  let folder: string;
  let system: Systemd;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "hutch-test-"));
    const mirror = join(folder, "mirror");
    await Bun.$`mkdir ${mirror}`.quiet();
    // The archive's executable is the one under test, which services can see in this place.
    const script = '#!/bin/sh\nexec /opt/hutch "$@"\n';
    await makeMirror(mirror, { signed: false, script });
    system = await bootSystemd(folder, { [executable]: "/opt/hutch", [mirror]: "/mirror" });
  });
  afterAll(async () => {
    await system?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const install = (...flags: string[]) =>
    system.run(`HUTCH_BASE_URL=file:///mirror sh /mirror/install.sh ${flags.join(" ")}`);
  const state = async (...units: string[]) =>
    (await system.run(`systemctl is-active ${units.join(" ")}`)).said.trim().split("\n");
  const all = ["hutch.service", "hutch.socket", "hutch-proxy.service"] as const;
  const ask = () =>
    system.run('hutch run guide --hidethinking "How do I run a model?" --server 127.0.0.1:11434');

  test("a service runs once install.sh ends, and answers", async () => {
    const { code, said } = await install("--service");
    expect({ code, said }).toEqual({ code: 0, said: expect.stringContaining("the service runs") });
    expect(await state("hutch.service")).toEqual(["active"]);
    const type = await system.run("systemctl show -p Type --value hutch.service");
    expect(type.said).toBe("notify\n");
    expect(await ask()).toEqual({ code: 0, said: expect.stringContaining("hutch run") });
    const kept = await system.run("ls /var/lib/hutch/.ollama/models");
    expect(kept.said).toContain("blobs\n");
  });

  describe.skipIf(!proxy.some((path) => Bun.file(path).size > 0))("by a socket", () => {
    test("the first connection starts it, and is answered", async () => {
      const { code, said } = await install("--socket");
      expect({ code, said }).toEqual({
        code: 0,
        said: expect.stringContaining("starts hutch at the first connection"),
      });
      expect(await state(...all)).toEqual(["inactive", "active", "inactive"]);
      expect(await ask()).toEqual({ code: 0, said: expect.stringContaining("hutch run") });
      expect(await state(...all)).toEqual(["active", "active", "active"]);
      const enabled = await system.run("systemctl is-enabled hutch.service hutch.socket");
      expect(enabled.said).toBe("static\nenabled\n");
    });

    test("after a crash the next connection starts it again", async () => {
      await system.run("systemctl kill -s KILL hutch.service");
      await until("the proxy has ended with it", async () => (await state(all[2]))[0] !== "active");
      expect((await ask()).code).toBe(0);
      expect(await state(...all)).toEqual(["active", "active", "active"]);
    });

    test("when the last connection is long gone it stops, and the socket stays", async () => {
      // What --exit-idle-time does after a while.
      await system.run("systemctl kill --signal=TERM hutch-proxy.service");
      await until("the server has stopped", async () => (await state(all[0]))[0] === "inactive");
      expect(await state(...all)).toEqual(["inactive", "active", "inactive"]);
      expect((await ask()).code).toBe(0);
    });

    test("its address is the socket's, whatever the settings say", async () => {
      await system.run("echo HUTCH_HOST=127.0.0.1:1234 >/etc/default/hutch; systemctl stop hutch");
      expect((await ask()).code).toBe(0);
    });
  });

  test("install.sh --service goes back to a service without a socket", async () => {
    await system.run("rm -f /etc/default/hutch");
    expect((await install("--service")).code).toBe(0);
    expect(await state(...all)).toEqual(["active", "inactive", "inactive"]);
    expect((await ask()).code).toBe(0);
  });

  test("install.sh --uninstall stops it, removes its units and leaves its models", async () => {
    expect((await install("--uninstall")).code).toBe(0);
    expect(await state(...all)).toEqual(["inactive", "inactive", "inactive"]);
    const left = await system.run("ls /etc/systemd/system | grep hutch; ls /var/lib/hutch/.ollama");
    expect(left.said).toContain("models\n");
    expect(left.said).not.toContain("hutch.service");
  });
});

/** The memory of a machine or container, from files as Linux writes them. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { machineMemory } from "../../../src/config/machine.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const giB = 2 ** 30;
const meminfo = "MemTotal:       8388608 kB\nMemFree:  1024 kB\nMemAvailable:   6291456 kB\n";

function machine(files: Record<string, string>) {
  const root = mkdtempSync(join(tmpdir(), "hutch-machine-"));
  folders.push(root);
  for (const [path, text] of Object.entries({ "proc/meminfo": meminfo, ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return machineMemory(root);
}

describe("the memory of a machine", () => {
  test("is what the system says where nothing limits it", () => {
    expect(machine({})).toEqual({ total: 8 * giB, available: 6 * giB });
    const unlimited = { "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n" };
    expect(machine(unlimited)).toEqual({ total: 8 * giB, available: 6 * giB });
  });

  test("is the tightest limit of the control groups around us, files in cache counted as free", () => {
    expect(
      machine({
        "proc/self/cgroup": "0::/outer/inner\n",
        "sys/fs/cgroup/outer/memory.max": `${2 * giB}\n`,
        "sys/fs/cgroup/outer/memory.current": `${1.5 * giB}\n`,
        "sys/fs/cgroup/outer/memory.stat": `anon 5\ninactive_file ${giB}\n`,
        "sys/fs/cgroup/outer/inner/memory.max": `${4 * giB}\n`,
        "sys/fs/cgroup/outer/inner/memory.current": "100\n",
      }),
    ).toEqual({ total: 2 * giB, available: 1.5 * giB });
  });

  test("knows groups of version 1, and containers that see only their own", () => {
    expect(
      machine({
        "proc/self/cgroup": "5:cpu:/x\n4:memory:/docker/123\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": `${giB}\n`,
        "sys/fs/cgroup/memory/memory.usage_in_bytes": `${giB}\n`,
        "sys/fs/cgroup/memory/memory.stat": `inactive_file 1\ntotal_inactive_file ${giB / 4}\n`,
      }),
    ).toEqual({ total: giB, available: giB / 4 });
    const none = `${2 ** 63 - 4096}\n`;
    expect(
      machine({
        "proc/self/cgroup": "4:memory:/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": none,
      }),
    ).toEqual({ total: 8 * giB, available: 6 * giB });
  });

  test("is something everywhere", () => {
    const { total, available } = machineMemory();
    expect(available).toBeGreaterThan(0);
    expect(total).toBeGreaterThanOrEqual(available);
  });
});

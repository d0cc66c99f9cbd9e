/**
 * A systemd of its own: the first process of namespaces of its own, on a copy of this machine's root that
 * vanishes with it, without a network but for its own loopback. So a service can be tried as systemd runs
 * it, hardening included, and the machine's own services never hear of it.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./until.ts";

const spaces = [
  "--net",
  "--mount",
  "--pid",
  "--uts",
  "--ipc",
  "--cgroup",
  "--fork",
  "--kill-child",
];
const systemd = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"].find(existsSync);
const control = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) =>
  existsSync(join(path, "cgroup.procs")),
);

/** What makes the root: this machine's, with what is written kept in memory; devices that do no harm. */
const root = (folder: string) => `
set -e
mount --make-rprivate /
mkdir -p ${folder}/top
mount -t tmpfs none ${folder}/top
mkdir ${folder}/top/upper ${folder}/top/work ${folder}/top/root
mount -t overlay overlay -o lowerdir=/,upperdir=${folder}/top/upper,workdir=${folder}/top/work ${folder}/top/root
cd ${folder}/top/root
mount -t proc proc proc
for place in run dev tmp; do mount -t tmpfs none $place; done
for device in null zero random urandom full tty; do
  : >dev/$device
  mount --bind /dev/$device dev/$device
done
ln -s pts/ptmx dev/ptmx
mkdir dev/pts dev/shm
mount -t tmpfs none dev/shm
mount -t sysfs sysfs sys
mount -t cgroup2 none sys/fs/cgroup
`;

/** Whether this machine lets us: it takes root, kernel features and systemd's programs. */
export const canBootSystemd: boolean = (() => {
  if (process.getuid?.() !== 0 || systemd === undefined || control === undefined) return false;
  const folder = `/tmp/hutch-systemd-probe-${process.pid}`;
  const probe = `${root(folder)}\nmkdir sys/fs/cgroup/hutch-probe && rmdir sys/fs/cgroup/hutch-probe`;
  const done = Bun.spawnSync(["unshare", ...spaces, "sh", "-c", probe], { stderr: "ignore" });
  Bun.spawnSync(["rm", "-rf", folder]);
  return done.exitCode === 0;
})();

export interface Systemd extends AsyncDisposable {
  /** Runs a shell's commands in there. */
  run(commands: string): Promise<{ code: number; said: string }>;
}

/**
 * Starts one and waits until it has booted.
 * @param folder for its scripts
 * @param shown paths of this machine → where they are seen in there
 */
export async function bootSystemd(
  folder: string,
  shown: Readonly<Record<string, string>>,
): Promise<Systemd> {
  // A control group of its own, so that what systemd makes lies below it and goes with it.
  const group = join(control ?? "", `hutch-systemd-${process.pid}`);
  mkdirSync(group, { recursive: true });
  const binds = Object.entries(shown).map(([from, to]) =>
    statSync(from).isDirectory()
      ? `mkdir -p .${to} && mount --bind ${from} .${to}`
      : `mkdir -p $(dirname .${to}) && : >.${to} && mount --bind ${from} .${to}`,
  );
  const boot = [
    root(folder),
    ...binds,
    "mkdir old",
    "pivot_root . old",
    "umount -l /old",
    `exec env -i container=hutch-test PATH=/usr/sbin:/usr/bin:/sbin:/bin ${systemd} --system --unit=basic.target --show-status=0`,
  ];
  const script = join(folder, "boot.sh");
  writeFileSync(script, boot.join("\n"));
  const enter = `echo $$ >${group}/cgroup.procs && exec unshare ${spaces.join(" ")} sh ${script}`;
  const outer = Bun.spawn(["sh", "-c", enter], { stdio: ["ignore", "pipe", "pipe"] });
  const first = (): string =>
    readFileSync(`/proc/${outer.pid}/task/${outer.pid}/children`, "utf8").trim();
  const run = async (commands: string) => {
    const inside = `cd / && export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root\n${commands}`;
    const into = ["-t", first(), "-m", "-p", "-u", "-i", "-C", "-n", "-r"];
    const child = Bun.spawn(["nsenter", ...into, "sh", "-c", inside], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, said] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code: await child.exited, said: out + said };
  };
  await until("systemd has booted", async () => {
    if (outer.exitCode !== null) {
      throw new Error(`it did not boot: ${await new Response(outer.stderr).text()}`);
    }
    return /^(running|degraded)$/m.test((await run("systemctl is-system-running")).said);
  });
  return {
    run,
    async [Symbol.asyncDispose]() {
      outer.kill("SIGKILL");
      await outer.exited;
      await until("its control groups are empty", () => removeGroups(group));
    },
  };
}

/** Removes control groups from the leaves up; false while a process is left in one. */
function removeGroups(group: string): boolean {
  const below = Bun.spawnSync(["find", group, "-depth", "-type", "d"]).stdout.toString();
  try {
    for (const path of below.split("\n").filter((line) => line !== "")) rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}

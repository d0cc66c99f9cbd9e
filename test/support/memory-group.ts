/**
 * A control group with a bound on memory, made below the one that this process is in (Linux, version 1
 * and 2). Not everybody may make one: then there is none, and tests that need it skip, visibly.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./until.ts";

const versions = {
  one: {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    most: "memory.max_usage_in_bytes",
    events: "memory.oom_control",
  },
  two: {
    limit: "memory.max",
    used: "memory.current",
    most: "memory.peak",
    events: "memory.events",
  },
} as const;

export interface MemoryGroup extends AsyncDisposable {
  /** Arguments to put before a command line that is to run in the group from its beginning. */
  readonly prefix: readonly string[];
  /** Moves a process here; what it holds stays on the account of where it came from (version 1). */
  take(pid: number): void;
  /** Bytes in use now, and the most that ever were. */
  used(): { readonly now: number; readonly most: number };
  /** Processes that the kernel killed here because memory was short. */
  killed(): number;
}

/** The group that this process is in, where memory is bounded by groups. */
function ownFolder(): { folder: string; version: keyof typeof versions } | undefined {
  if (process.platform !== "linux") return undefined;
  for (const line of readFileSync("/proc/self/cgroup", "utf8").split("\n")) {
    const [, controllers, path = "/"] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined) continue;
    if (controllers.split(",").includes("memory")) {
      return { folder: join("/sys/fs/cgroup/memory", path), version: "one" };
    }
    if (controllers === "" && existsSync(join("/sys/fs/cgroup", path, "memory.max"))) {
      return { folder: join("/sys/fs/cgroup", path), version: "two" };
    }
  }
  return undefined;
}

let made = 0;

/** A group of so many bytes; undefined where this process may make none. */
export function memoryGroup(bytes: number): MemoryGroup | undefined {
  const own = ownFolder();
  if (own === undefined) return undefined;
  const files = versions[own.version];
  const folder = join(own.folder, `hutch-test-${process.pid}-${made++}`);
  const file = (name: string) => join(folder, name);
  try {
    mkdirSync(folder);
  } catch {
    return undefined;
  }
  try {
    writeFileSync(file(files.limit), String(bytes));
  } catch {
    rmdirSync(folder); // the group around it hands out no memory (version 2)
    return undefined;
  }
  const number = (name: string) => Number(readFileSync(file(name), "utf8"));
  return {
    prefix: ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', file("cgroup.procs")],
    take: (pid) => writeFileSync(file("cgroup.procs"), String(pid)),
    used: () => ({ now: number(files.used), most: number(files.most) }),
    killed: () => {
      const events = readFileSync(file(files.events), "utf8");
      return Number(/^oom_kill (\d+)/m.exec(events)?.[1] ?? 0);
    },
    [Symbol.asyncDispose]: async () => {
      const empty = () => readFileSync(file("cgroup.procs"), "utf8") === "";
      await until("the group is empty", empty);
      rmdirSync(folder);
    },
  };
}

/** Whether this process may bound the memory of others. */
export const haveMemoryGroups: boolean = await (async () => {
  const group = memoryGroup(2 ** 30);
  await group?.[Symbol.asyncDispose]();
  return group !== undefined;
})();

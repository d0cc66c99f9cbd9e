/**
 * The memory of this machine, as far as this process may have it: a container's limit (Linux control
 * groups, version 1 and 2) counts like less memory.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { dirname, join } from "node:path";

export interface MachineMemory {
  /** Bytes that all programs here can have together. */
  readonly total: number;
  /** Bytes that could be had right now; at most `total`. */
  readonly available: number;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // not there, or not for us: then it limits nothing that we know of
  }
}

/** A file that holds one number; undefined for `max` and for numbers that mean no limit. */
function limitIn(path: string): number | undefined {
  const text = read(path)?.trim();
  if (text === undefined || !/^\d+$/.test(text)) return undefined;
  const bytes = Number(text);
  return bytes < 2 ** 60 ? bytes : undefined;
}

/** Bytes of a line `NAME NUMBER` in a text, 0 when it is missing. */
function field(text: string | undefined, name: string): number {
  return Number(new RegExp(`^${name}:?\\s+(\\d+)`, "m").exec(text ?? "")?.[1] ?? 0);
}

/** The files of one control group; version 1 and 2 name them differently. */
const versions = {
  one: {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    idle: "total_inactive_file",
  },
  two: { limit: "memory.max", used: "memory.current", idle: "inactive_file" },
} as const;

/** Limit and free bytes of a group and the groups around it: the tightest one counts. */
function limitsOf(top: string, path: string, version: keyof typeof versions): MachineMemory[] {
  const files = versions[version];
  const found: MachineMemory[] = [];
  // Inside a container the path is often one outside of it; then the top is the container's own.
  for (let at = existsSync(join(top, path)) ? path : "/"; ; at = dirname(at)) {
    const folder = join(top, at);
    const total = limitIn(join(folder, files.limit));
    if (total !== undefined) {
      const used = limitIn(join(folder, files.used)) ?? 0;
      const idle = field(read(join(folder, "memory.stat")), files.idle);
      found.push({ total, available: Math.max(0, total - Math.max(0, used - idle)) });
    }
    if (at === "/" || at === ".") return found;
  }
}

function groupLimits(root: string): MachineMemory[] {
  const lines = (read(join(root, "proc/self/cgroup")) ?? "").split("\n");
  return lines.flatMap((line) => {
    const [, controllers = "", path = "/"] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (!line.includes(":")) return [];
    if (controllers === "") return limitsOf(join(root, "sys/fs/cgroup"), path, "two");
    if (!controllers.split(",").includes("memory")) return [];
    return limitsOf(join(root, "sys/fs/cgroup/memory"), path, "one");
  });
}

/** What the system says without control groups. macOS counts little as free, so all of it counts there. */
function systemMemory(root: string): MachineMemory {
  const info = read(join(root, "proc/meminfo"));
  const total = field(info, "MemTotal") * 1024 || totalmem();
  const available = field(info, "MemAvailable") * 1024;
  if (available > 0) return { total, available };
  return { total, available: process.platform === "darwin" ? total : freemem() };
}

/** File names of GPU backends, which lie beside the executable or in a folder of libraries. */
export const gpuLibrary = /^(?:lib)?ggml-(?:cuda|vulkan|metal|hip)\.(?:so|dylib|dll)$/;

const withGpu = new Map<string, boolean>();

/**
 * Whether there is a GPU's backend, as found at the first call.
 *
 * @param folder of the libraries, where the user names one
 */
export function hasGpuBackend(folder = dirname(process.execPath)): boolean {
  let found = withGpu.get(folder);
  if (found === undefined) {
    found = existsSync(folder) && readdirSync(folder).some((name) => gpuLibrary.test(name));
    withGpu.set(folder, found);
  }
  return found;
}

/**
 * Whether a KV cache takes memory only where it is written: on Linux, on the CPU (ffi/memory.cpp). Then a
 * model's slots can be set aside from the beginning.
 *
 * @param gpuLayers as the user wants them; 0 = no GPU is used
 * @param folder of the libraries, where the user names one
 */
export function growsInPlace(gpuLayers: number, folder?: string): boolean {
  return process.platform === "linux" && (gpuLayers === 0 || !hasGpuBackend(folder));
}

let known: number | undefined;

/** Bytes that all programs here can have together, as found at the first call. */
export function totalMemory(): number {
  known ??= machineMemory().total;
  return known;
}

/** @param root where the system's files are; another one in tests */
export function machineMemory(root = "/"): MachineMemory {
  const all = [systemMemory(root), ...groupLimits(root)];
  const least = (of: (each: MachineMemory) => number) => Math.min(...all.map(of));
  const total = least((each) => each.total);
  return {
    total,
    available: Math.min(
      total,
      least((each) => each.available),
    ),
  };
}

/**
 * The executable: `src/main.ts` and all it imports, minified, with Bun's runtime, the libraries of
 * dist/lib (compressed) and the model `guide`. `ffi/embedded.ts` is replaced by a generated module.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { BunPlugin } from "bun";
import { BuildError } from "./failure.ts";
import { filesBelow, hashFiles, sha256, writeAtomic } from "./files.ts";
import type { LibraryFile, LibraryManifest } from "./manifest.ts";
import type { Progress } from "./progress.ts";

export interface CompileJob {
  readonly root: string;
  readonly cache: string;
  readonly manifest: LibraryManifest;
  /** Where the finished libraries are. */
  readonly libraries: string;
  /** Entry point and result; the tests of the build set their own. */
  readonly entry: string;
  readonly output: string;
  /** Another platform than this one; what was built here does not run there. */
  readonly target?: {
    readonly name: string;
    readonly bun: Bun.Build.CompileTarget;
    /** Whether the libraries that were built here run there. */
    readonly libraries: boolean;
  };
}

/** Files of the embedded model, by their place in `Embedded.guide`. */
const guideFiles = {
  gguf: "guide.gguf",
  template: "template.gotmpl",
  params: "params.json",
  license: "LICENSE",
} as const;

/** Compiles unless nothing has changed since the last time. */
export async function compileExecutable(job: CompileJob, progress: Progress): Promise<void> {
  const key = compileKey(job);
  const marker = `${job.output}.key`;
  if (existsSync(job.output) && existsSync(marker) && readFileSync(marker, "utf8") === key) {
    progress.note("    executable: nothing has changed");
    return;
  }
  progress.expect(2);
  progress.step("Compress libraries");
  const embedded = embeddedFiles(job);
  const paths = new Map<string, string>();
  for (const [index, file] of embedded.entries()) {
    progress.update(index, embedded.length);
    paths.set(file.name, await compressed(job, file));
  }
  progress.step("Executable");
  const module = generateModule(embedded, paths, guidePaths(job.root), job.target);
  await bundle(job, module);
  writeAtomic(marker, key);
}

/** Libraries inside the executable: none where they would not run. */
function embeddedFiles({ manifest, target }: CompileJob): readonly LibraryFile[] {
  return target?.libraries === false ? [] : manifest.files.filter((file) => file.embed);
}

/** Everything that goes into the executable. */
function compileKey(job: CompileJob): string {
  const part = (folder: string): string => {
    const files = filesBelow(join(job.root, folder)).filter((file) => !/\.(?:cpp|h)$/.test(file));
    return hashFiles(join(job.root, folder), files);
  };
  const files = ["package.json", "package-lock.json", "tsconfig.json", "bunfig.toml", "build.ts"];
  return sha256(
    JSON.stringify([
      Bun.version,
      Bun.revision,
      embeddedFiles(job),
      job.target ?? "",
      ...["src", "ffi", "scripts/build", "assets"].map(part),
      hashFiles(
        job.root,
        files.filter((file) => existsSync(join(job.root, file))),
      ),
      job.entry,
      existsSync(job.entry) ? sha256(readFileSync(job.entry)) : "",
    ]),
  );
}

/** zstd's level 19 takes seconds, so its results are kept. */
async function compressed(job: CompileJob, file: LibraryFile): Promise<string> {
  const path = join(job.cache, "compressed", file.sha256, `${file.name}.zst`);
  if (existsSync(path)) return path;
  const data = await Bun.file(join(job.libraries, file.name)).bytes();
  if (sha256(data) !== file.sha256)
    throw new BuildError(`"${file.name}" changed since it was built`);
  writeAtomic(path, await Bun.zstdCompress(data, { level: 19 }));
  return path;
}

/** Paths of the model's files; undefined while the source tree has none. */
function guidePaths(root: string): Readonly<Record<keyof typeof guideFiles, string>> | undefined {
  const folder = join(root, "assets", "guide");
  if (!existsSync(join(folder, guideFiles.gguf))) return undefined;
  const paths = { gguf: "", template: "", params: "", license: "" };
  for (const [part, name] of Object.entries(guideFiles)) {
    const path = join(folder, name);
    if (!existsSync(path)) throw new BuildError(`embed the model: "${path}" is missing`);
    paths[part as keyof typeof guideFiles] = path;
  }
  return paths;
}

/** Text of the module that stands for ffi/embedded.ts in the executable. */
function generateModule(
  files: readonly LibraryFile[],
  paths: ReadonlyMap<string, string>,
  guide: Readonly<Record<string, string>> | undefined,
  target: CompileJob["target"],
): string {
  const imports: string[] = [];
  const importFile = (path: string): string => {
    const name = `file${imports.length}`;
    imports.push(`import ${name} from ${JSON.stringify(path)} with { type: "file" };`);
    return name;
  };
  const libraries = files.map(({ name, sha256: hash, bytes }) => {
    const path = importFile(paths.get(name) ?? "");
    return `{ name: ${JSON.stringify(name)}, sha256: "${hash}", bytes: ${bytes}, path: ${path} }`;
  });
  const guideText =
    guide === undefined
      ? "undefined"
      : `{ ${Object.entries(guide)
          .map(([part, path]) => `${part}: ${importFile(path)}`)
          .join(", ")} }`;
  const inside =
    target?.libraries === false
      ? `{ kind: "none", platform: "${target.name}" }`
      : `{ kind: "files", key: "${contentKey(files)}", files: [${libraries.join(",\n")}] }`;
  return [
    ...imports,
    "export const embedded = {",
    `  libraries: ${inside},`,
    `  guide: ${guideText},`,
    "};",
    "",
  ].join("\n");
}

/** Equal libraries have equal keys, wherever and whenever they were built. */
function contentKey(files: readonly LibraryFile[]): string {
  return sha256(files.map((file) => `${file.name} ${file.sha256}`).join("\n")).slice(0, 16);
}

async function bundle(job: CompileJob, module: string): Promise<void> {
  const replaced = join(job.root, "ffi", "embedded.ts");
  let seen = false;
  const plugin: BunPlugin = {
    name: "embed",
    setup(build) {
      build.onLoad({ filter: /[/\\]ffi[/\\]embedded\.ts$/ }, ({ path }) => {
        if (path !== replaced) throw new BuildError(`a second embedded.ts: "${path}"`);
        seen = true;
        return { loader: "ts", contents: module };
      });
    },
  };
  const work = `${job.output}.${process.pid}.tmp`;
  mkdirSync(work, { recursive: true });
  try {
    const outfile = join(work, basename(job.output));
    const result = await Bun.build({
      entrypoints: [job.entry],
      minify: true,
      // Compiled ahead: parsing takes 70 ms of every start otherwise.
      bytecode: true,
      // A start reads only the modules that it runs: 8 ms less of every process, runners included.
      splitting: true,
      format: "esm",
      define: { "process.env.NODE_ENV": '"production"' },
      plugins: [plugin],
      // The executable runs in its users' folders: files that Bun would read there are not its own.
      compile: {
        outfile,
        ...(job.target === undefined ? {} : { target: job.target.bun }),
        autoloadDotenv: false,
        autoloadBunfig: false,
        autoloadTsconfig: false,
        autoloadPackageJson: false,
      },
      throw: false,
    });
    if (!result.success) throw new BuildError(result.logs.map(String).join("\n"));
    if (!seen) throw new BuildError(`"${job.entry}" does not use ffi/embedded.ts`);
    if (statSync(outfile).size === 0) throw new BuildError(`"${outfile}" is empty`);
    renameSync(outfile, job.output);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

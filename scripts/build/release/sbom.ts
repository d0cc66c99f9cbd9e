/**
 * The bill of materials of the executable (CycloneDX 1.6, JSON): npm packages that it bundles, the
 * crates of the constraint engine, llama.cpp and Bun. Made from the lockfiles and the pin, so equal
 * inputs give equal bytes: it has no time, and its number is made of its content. Pure.
 */
import { type Static, Type as t } from "@sinclair/typebox";
import { sha256 } from "../files.ts";

const Component = t.Object({
  type: t.Union([t.Literal("library"), t.Literal("application"), t.Literal("platform")]),
  "bom-ref": t.String(),
  name: t.String(),
  version: t.String(),
  purl: t.String({ pattern: "^pkg:" }),
  hashes: t.Optional(
    t.Array(t.Object({ alg: t.String(), content: t.String({ pattern: "^[0-9a-f]+$" }) })),
  ),
  licenses: t.Optional(t.Array(t.Object({ expression: t.String() }))),
});
type Component = Static<typeof Component>;

/** The part of CycloneDX that is written here. */
export const Bom = t.Object({
  $schema: t.Literal("http://cyclonedx.org/schema/bom-1.6.schema.json"),
  bomFormat: t.Literal("CycloneDX"),
  specVersion: t.Literal("1.6"),
  serialNumber: t.String({ pattern: "^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" }),
  version: t.Literal(1),
  metadata: t.Object({ component: Component }),
  components: t.Array(Component),
  dependencies: t.Array(t.Object({ ref: t.String(), dependsOn: t.Array(t.String()) })),
});
export type Bom = Static<typeof Bom>;

const Package = t.Object({
  version: t.Optional(t.String()),
  license: t.Optional(t.String()),
  integrity: t.Optional(t.String()),
  dependencies: t.Optional(t.Record(t.String(), t.String())),
});
/** package-lock.json, version 3: paths below node_modules → packages; "" is the project itself. */
export const Lockfile = t.Object({ packages: t.Record(t.String(), Package) });
type Lockfile = Static<typeof Lockfile>;

interface Pin {
  readonly version: string;
  readonly commit: string;
  readonly bundleSha256: string;
}

export interface SbomInput {
  readonly version: string;
  readonly license: string;
  readonly lockfile: Lockfile;
  /** Text of Cargo.lock. */
  readonly cargoLock: string;
  readonly pin: Pin;
  readonly bun: string;
}

/** Where Node finds a package that another one asks for: beside it, or further up. */
function located(lockfile: Lockfile, from: string, name: string): string | undefined {
  for (
    let folder = from;
    ;
    folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))
  ) {
    const path = `${folder === "" ? "" : `${folder}/`}node_modules/${name}`;
    if (path in lockfile.packages) return path;
    if (folder === "") return undefined;
  }
}

function npmComponent(path: string, found: Static<typeof Package>): Component {
  const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
  const version = found.version ?? "";
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  const digest = /^sha512-(.+)$/.exec(found.integrity ?? "")?.[1];
  return {
    type: "library",
    "bom-ref": purl,
    name,
    version,
    purl,
    ...(digest === undefined
      ? {}
      : { hashes: [{ alg: "SHA-512", content: Buffer.from(digest, "base64").toString("hex") }] }),
    ...(found.license === undefined ? {} : { licenses: [{ expression: found.license }] }),
  };
}

/** What the project depends on, and what that depends on; not what is for building and tests. */
function npmComponents(lockfile: Lockfile): Component[] {
  const seen = new Map<string, Component>();
  const walk = (from: string): void => {
    for (const name of Object.keys(lockfile.packages[from]?.dependencies ?? {})) {
      const path = located(lockfile, from, name);
      const found = path === undefined ? undefined : lockfile.packages[path];
      if (path === undefined || found === undefined || seen.has(path)) continue;
      seen.set(path, npmComponent(path, found));
      walk(path);
    }
  };
  walk("");
  // One version may lie in several places.
  return [...new Map([...seen.values()].map((one) => [one.purl, one])).values()];
}

function crateComponents(text: string): Component[] {
  return text.split("[[package]]").flatMap((block) => {
    const field = (name: string) => new RegExp(`^${name} = "(.*)"$`, "m").exec(block)?.[1];
    const [name, version, checksum] = [field("name"), field("version"), field("checksum")];
    // Our own crate has no source.
    if (name === undefined || version === undefined || checksum === undefined) return [];
    const purl = `pkg:cargo/${name}@${version}`;
    const hashes = [{ alg: "SHA-256", content: checksum }];
    return [{ type: "library" as const, "bom-ref": purl, name, version, purl, hashes }];
  });
}

function llamaComponent({ version, commit, bundleSha256 }: Pin): Component {
  const purl = `pkg:github/ggml-org/llama.cpp@${commit}`;
  return {
    type: "library",
    "bom-ref": purl,
    name: "llama.cpp",
    version,
    purl,
    hashes: [{ alg: "SHA-256", content: bundleSha256 }],
    licenses: [{ expression: "MIT" }],
  };
}

export function sbom(input: SbomInput): Bom {
  const own = `pkg:generic/hutch@${input.version}`;
  const bun = `pkg:github/oven-sh/bun@bun-v${input.bun}`;
  const components: Component[] = [
    { type: "platform" as const, "bom-ref": bun, name: "bun", version: input.bun, purl: bun },
    llamaComponent(input.pin),
    ...npmComponents(input.lockfile),
    ...crateComponents(input.cargoLock),
  ].sort((a, b) => (a.purl < b.purl ? -1 : 1));
  const content = {
    metadata: {
      component: {
        type: "application" as const,
        "bom-ref": own,
        name: "hutch",
        version: input.version,
        purl: own,
        licenses: [{ expression: input.license }],
      },
    },
    components,
    dependencies: [{ ref: own, dependsOn: components.map((one) => one["bom-ref"]) }],
  };
  const number = sha256(JSON.stringify(content))
    .slice(0, 32)
    .replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${number}`,
    version: 1,
    ...content,
  };
}

/**
 * The archive of a model: a tar of an OCI image layout (`oci-layout`, `index.json`,
 * `blobs/sha256/<hex>`), which other tools can read as well. Names and shapes; pure.
 */
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { ArchiveError } from "../../errors.ts";
import { type Digest, parseDigest } from "../digest.ts";
import { mediaTypes } from "../media-types.ts";
import { isValidName, type ModelName, parseName } from "../name.ts";

export const layoutFile = "oci-layout";
export const indexFile = "index.json";
export const layoutText = `{"imageLayoutVersion":"1.0.0"}`;

/** Annotation that holds the model's name. */
const nameKey = "org.opencontainers.image.ref.name";

const IndexShape = t.Object({
  manifests: t.Array(
    t.Object({
      digest: t.String(),
      size: t.Integer({ minimum: 0 }),
      annotations: t.Optional(t.Record(t.String(), t.String())),
    }),
    { minItems: 1, maxItems: 1000 },
  ),
});
type IndexShape = Static<typeof IndexShape>;

export function blobEntry(digest: Digest): string {
  return `blobs/sha256/${digest.slice("sha256:".length)}`;
}

/** What an entry of an archive is. */
export type EntryKind =
  | { readonly kind: "layout" | "index" | "ignored" }
  | { readonly kind: "blob"; readonly digest: Digest };

/**
 * Only names of the layout pass; so no entry can lead out of it.
 * @throws ArchiveError
 */
export function entryKind(name: string, type: string): EntryKind {
  const plain = name.replace(/^\.\//, "").replace(/\/$/, "");
  if (type === "directory") {
    if (["", ".", "blobs", "blobs/sha256"].includes(plain)) return { kind: "ignored" };
    throw new ArchiveError(`the archive has a folder ${JSON.stringify(name)}, which no layout has`);
  }
  if (type !== "file") {
    throw new ArchiveError(
      `the archive has a ${type} ${JSON.stringify(name)}: only files are read`,
    );
  }
  if (plain === layoutFile) return { kind: "layout" };
  if (plain === indexFile) return { kind: "index" };
  // What `docker save` adds for old readers.
  if (plain === "manifest.json" || plain === "repositories") return { kind: "ignored" };
  const hex = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(plain)?.[1];
  if (hex !== undefined) return { kind: "blob", digest: `sha256:${hex}` };
  throw new ArchiveError(`the archive has a file ${JSON.stringify(name)}, which no layout has`);
}

/** `index.json` for one model. */
export function renderIndex(name: string, manifest: { digest: Digest; size: number }): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [{ mediaType: mediaTypes.manifest, ...manifest, annotations: { [nameKey]: name } }],
  });
}

export interface ArchivedModel {
  readonly manifest: Digest;
  readonly name: ModelName;
}

/**
 * The models of an archive.
 * @param as name to use instead, for an archive with one model
 * @throws ArchiveError, DigestFormatError
 */
export function readIndex(text: string, as: ModelName | undefined): ArchivedModel[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ArchiveError(`${indexFile} is not valid JSON`, { cause });
  }
  if (!Value.Check(IndexShape, json)) {
    const first = Value.Errors(IndexShape, json).First();
    throw new ArchiveError(`${indexFile}: ${first?.path || "/"}: ${first?.message}`);
  }
  if (as !== undefined && json.manifests.length > 1) {
    throw new ArchiveError(
      `the archive has ${json.manifests.length} models: one name is not enough`,
    );
  }
  return json.manifests.map((entry) => ({
    manifest: parseDigest(entry.digest),
    name: as ?? nameOf(entry),
  }));
}

function nameOf({ annotations = {} }: IndexShape["manifests"][number]): ModelName {
  const text = annotations[nameKey] ?? "";
  // Other tools write only a tag there: that is no name of a model.
  const name = parseName(text);
  if (text.includes("/") && isValidName(name)) return name;
  throw new ArchiveError(
    `the archive does not say what the model is called (${JSON.stringify(text)}): give it a name`,
  );
}

/** Base layers from uploaded files: GGUFs, shards of one, or a folder of safetensors (create.md 4, 5). */
import { closeSync, openSync, readSync } from "node:fs";
import { InvalidRequestError } from "../../errors.ts";
import { type Digest, parseDigest } from "../digest.ts";
import { checkGguf } from "../gguf/check.ts";
import type { GgufFacts } from "../gguf/facts.ts";
import type { GgufHead } from "../gguf/reader.ts";
import { goJson } from "../gojson.ts";
import { knownTemplate } from "../known-templates.ts";
import { mediaTypes } from "../media-types.ts";
import type { Store } from "../store.ts";
import {
  blobPaths,
  describe,
  factsOfLayer,
  layerFor,
  madeBlob,
  newParts,
  type Parts,
  requireBlob,
} from "./parts.ts";
import type { CreateProgress, CreateTools } from "./request.ts";
import { checkShard, completeShards, type Shard } from "./shards.ts";

export type FileKind = "gguf" | "safetensors" | "other";

/** By its name, else by its first bytes. */
export function kindOf(store: Store, name: string, digest: string): FileKind {
  if (name.endsWith(".safetensors")) return "safetensors";
  if (name.endsWith(".gguf")) return "gguf";
  let file: number;
  try {
    file = openSync(store.blobPath(parseDigest(digest)), "r");
  } catch {
    return "other"; // not in the store, or no digest: whoever needs the file says so
  }
  try {
    const magic = Buffer.alloc(4);
    readSync(file, magic, 0, 4, 0);
    return ["GGUF", "FUGG"].includes(magic.toString("latin1")) ? "gguf" : "other";
  } finally {
    closeSync(file);
  }
}

/** @throws InvalidRequestError when there is no model among the files */
export async function* fromFiles(
  store: Store,
  files: Readonly<Record<string, string>>,
  tools: CreateTools,
): AsyncGenerator<CreateProgress, Parts> {
  const kinds = new Map(
    Object.entries(files).map(([name, digest]) => [name, kindOf(store, name, digest)]),
  );
  const has = (kind: FileKind) => [...kinds.values()].includes(kind);
  if (has("safetensors")) return yield* fromSafetensors(store, files, tools);
  if (!has("gguf")) throw new InvalidRequestError("unknown type");
  // Configurations beside GGUFs say nothing that these do not.
  const names = Object.keys(files).filter((name) => kinds.get(name) === "gguf");
  return yield* fromGgufs(store, files, names.sort(), tools);
}

async function* fromSafetensors(
  store: Store,
  files: Readonly<Record<string, string>>,
  tools: CreateTools,
): AsyncGenerator<CreateProgress, Parts> {
  yield { status: "converting model" };
  const paths = blobPaths(store, files);
  const parts = newParts();
  if (!files["modules.json"] && files["config.json"] !== undefined) {
    tools.logger.debug("no modules.json: an encoder would pool by the mean of its tokens");
  }
  const made = yield* madeBlob(store, tools, (output) => ({
    type: "convert",
    files: paths,
    output,
  }));
  parts.eightBit = made.eightBit;
  addMade(store, parts, made);
  if (made.sees) yield* addProjector(store, parts, paths, tools);
  return parts;
}

/** The part that sees, as a layer of its own behind the model's. */
async function* addProjector(
  store: Store,
  parts: Parts,
  files: Record<string, string>,
  tools: CreateTools,
): AsyncGenerator<CreateProgress, void> {
  const { digest, created } = yield* madeBlob(store, tools, (output) => ({
    type: "projector",
    files,
    output,
  }));
  if (created) parts.created.add(digest);
  parts.unverified.add(digest);
  parts.layers.push(layerFor(store, digest, mediaTypes.projector));
}

async function* fromGgufs(
  store: Store,
  files: Readonly<Record<string, string>>,
  names: readonly string[],
  tools: CreateTools,
): AsyncGenerator<CreateProgress, Parts> {
  const parts = newParts();
  const shards: Shard[] = [];
  for (const file of names) {
    yield { status: "parsing GGUF" };
    const digest = requireBlob(store, files[file] ?? "");
    const path = store.blobPath(digest);
    const { head, facts } = readPart(path);
    if (head.metadata.has("split.count") && Number(head.metadata.get("split.count")?.value) > 1) {
      shards.push(checkShard(file, path, head));
    } else addGguf(store, parts, file, digest, facts);
  }
  for (const group of completeShards(shards)) {
    const made = yield* madeBlob(store, tools, (output) => ({
      type: "merge",
      shards: group,
      output,
    }));
    addMade(store, parts, made);
  }
  if (!parts.layers.some(({ mediaType }) => mediaType === mediaTypes.model)) {
    throw new InvalidRequestError("no base model was found");
  }
  return parts;
}

/** Shards after the first need not name their architecture. */
function readPart(path: string): { head: GgufHead; facts: GgufFacts } {
  return checkGguf(path, { shard: true });
}

function addMade(
  store: Store,
  parts: Parts,
  { digest, created }: { digest: Digest; created: boolean },
): void {
  if (created) parts.created.add(digest);
  parts.unverified.add(digest);
  const layer = layerFor(store, digest, mediaTypes.model);
  parts.layers.push(layer);
  addFacts(store, parts, factsOfLayer(store, layer));
}

function addGguf(store: Store, parts: Parts, file: string, digest: Digest, facts: GgufFacts): void {
  const isModel = facts.kind === "model";
  parts.layers.push(layerFor(store, digest, mediaTypes[facts.kind], isModel ? undefined : file));
  if (isModel) addFacts(store, parts, facts);
}

function addFacts(store: Store, parts: Parts, facts: GgufFacts): void {
  parts.config = {
    ...describe(parts.config, facts),
    model_families: [...(parts.config.model_families ?? []), facts.architecture],
  };
  const known = facts.chatTemplate === undefined ? undefined : knownTemplate(facts.chatTemplate);
  if (known === undefined || parts.detected !== undefined) return;
  const texts = [
    store.putBytes(known.template, mediaTypes.template),
    store.putBytes(`${goJson({ stop: known.stop })}\n`, mediaTypes.params),
  ];
  for (const { layer, created } of texts) {
    parts.layers.push(layer);
    if (created) parts.created.add(layer.digest);
  }
  parts.parameters = { stop: known.stop };
  parts.detected = known.name;
}

/** LoRA adapters of a create request: a GGUF, or files of PEFT or MLX that are converted (create.md 6). */
import { InvalidRequestError } from "../../errors.ts";
import { parseDigest } from "../digest.ts";
import { checkGguf } from "../gguf/check.ts";
import { mediaTypes } from "../media-types.ts";
import type { Store } from "../store.ts";
import { kindOf } from "./from-files.ts";
import { blobPaths, factsOfLayer, layerFor, madeBlob, modelLayer, type Parts } from "./parts.ts";
import type { CreateProgress, CreateTools } from "./request.ts";

/** @throws InvalidRequestError, ConvertError, GgufError */
export async function* addAdapters(
  store: Store,
  parts: Parts,
  adapters: Readonly<Record<string, string>>,
  tools: CreateTools,
): AsyncGenerator<CreateProgress> {
  const names = Object.keys(adapters).sort();
  if (names.length === 0) return;
  const kinds = names.map((name) => kindOf(store, name, adapters[name] ?? ""));
  if (kinds.includes("safetensors")) yield* convertedAdapter(store, parts, adapters, tools);
  else {
    const ggufs = names.filter((_, i) => kinds[i] === "gguf");
    if (ggufs.length > 1) {
      throw new InvalidRequestError("only one adapter is currently supported");
    }
    const [file] = ggufs;
    if (file === undefined) throw new InvalidRequestError("unknown type");
    yield* ggufAdapter(store, parts, file, adapters[file] ?? "");
  }
}

function* ggufAdapter(
  store: Store,
  parts: Parts,
  file: string,
  digestText: string,
): Generator<CreateProgress> {
  yield { status: "parsing GGUF" };
  const { [file]: path = "" } = blobPaths(store, { [file]: digestText });
  const { facts } = checkGguf(path);
  if (facts.kind !== "adapter") {
    throw new InvalidRequestError(`file "${file}" is a ${facts.kind}, not an adapter`);
  }
  parts.layers.push(layerFor(store, parseDigest(digestText), mediaTypes.adapter, file));
}

async function* convertedAdapter(
  store: Store,
  parts: Parts,
  adapters: Readonly<Record<string, string>>,
  tools: CreateTools,
): AsyncGenerator<CreateProgress> {
  yield { status: "converting adapter" };
  const base = modelLayer(parts);
  if (base === undefined) throw new InvalidRequestError("no base model was found");
  const { architecture, heads, kvHeads } = factsOfLayer(store, base);
  const files = blobPaths(store, adapters);
  const made = yield* madeBlob(store, tools, (output) => ({
    type: "adapter",
    files,
    base: { architecture, heads: Math.max(1, heads), kvHeads: Math.max(1, kvHeads) },
    output,
  }));
  if (made.created) parts.created.add(made.digest);
  parts.layers.push(layerFor(store, made.digest, mediaTypes.adapter));
}

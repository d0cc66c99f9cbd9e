/** GGUF heads: metadata, tensors, derived facts; and corrupt copies, refused where the reference does. */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readBuildEnvironment } from "../../../scripts/build/environment.ts";
import { locateSource } from "../../../scripts/build/source.ts";
import { factsOf } from "../../../src/model/gguf/facts.ts";
import {
  type GgufArray,
  type GgufScalar,
  readArray,
  readGguf,
} from "../../../src/model/gguf/reader.ts";
import { type KindContext, sharedPath } from "./context.ts";

interface FileVector {
  file: string;
  facts: Record<string, unknown>;
  tensors: [string, string, number[], number, number, number][];
  kv: unknown[];
  kv_count: number;
}

interface Corrupt {
  id: string;
  file: string;
  truncate?: number;
  edits?: [number, string][];
  append_hex?: string;
  decode_error?: string;
}

/** A file of the vectors; undefined when it is one of llama.cpp's and its source was never fetched. */
function locate(dir: string, file: string): string | undefined {
  if (file.startsWith("data/")) return sharedPath(dir, file);
  const { folder } = locateSource(readBuildEnvironment(process.env));
  const path = resolve(folder, file.replace(/^llama\.cpp\//, ""));
  return existsSync(path) ? path : undefined;
}

/** Where the reference accepts what hutch refuses, on purpose, or reads other versions. */
const stricter = new Set([
  "tensors-more",
  "version-0",
  "version-1",
  "version-4",
  "version-big",
  "dim-zero",
  "offset-odd",
]);

function bits(value: GgufScalar, type: string): string {
  if (type === "float32") {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatBE(Number(value));
    return bytes.toString("hex");
  }
  if (type === "float64") {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(Number(value));
    return bytes.toString("hex");
  }
  return String(value);
}

function arrayHash(path: string, array: GgufArray): string {
  const hash = createHash("sha256");
  for (const value of readArray(path, array)) hash.update(`${bits(value, array.type)}\n`);
  return hash.digest("hex");
}

export function ggufKv(data: Record<string, unknown>, { dir, check, skip }: KindContext): void {
  for (const vector of data.files as FileVector[]) {
    const path = locate(dir, vector.file);
    if (path === undefined) {
      skip();
      continue;
    }
    const head = readGguf(path);
    check(`${vector.file} count`, head.metadata.size, vector.kv_count);
    const keys = [...head.metadata.keys()];
    check(
      `${vector.file} keys`,
      keys,
      vector.kv.map((entry) => (entry as [string])[0] ?? (entry as { key: string }).key),
    );
    const tensors = head.tensors.map(({ name, type, shape, offset, bytes, elements }) => [
      name,
      type.name,
      shape,
      offset,
      bytes,
      elements,
    ]);
    check(`${vector.file} tensors`, tensors, vector.tensors);
    const facts = factsOf(head);
    const expected = vector.facts;
    check(
      `${vector.file} facts`,
      {
        architecture: facts.architecture,
        block_count: facts.blockCount,
        context_length: facts.contextLength,
        embedding_length: facts.embeddingLength,
        has_chat_template: facts.chatTemplate !== undefined,
        parameter_count: facts.parameterCount,
        parameter_size: facts.parameterSize,
      },
      Object.fromEntries(
        [
          "architecture",
          "block_count",
          "context_length",
          "embedding_length",
          "has_chat_template",
          "parameter_count",
          "parameter_size",
        ].map((key) => [key, expected[key]]),
      ),
    );
    // File type 0 is F32 here (README of the vectors).
    if (facts.fileType !== "F32")
      check(`${vector.file} file type`, facts.fileType, expected.file_type);
    for (const [index, [key, value]] of [...head.metadata].entries()) {
      if (value.type !== "array") continue;
      const wanted = JSON.stringify(vector.kv[index]);
      const hash = arrayHash(path, value.value);
      if (wanted.includes("sha256")) check(`${vector.file} ${key}`, wanted.includes(hash), true);
    }
  }
  const folder = mkdtempSync(join(tmpdir(), "hutch-gguf-"));
  try {
    for (const vector of data.corrupt as Corrupt[]) {
      const path = locate(dir, vector.file);
      if (path === undefined) {
        skip();
        continue;
      }
      let bytes = readFileSync(path);
      for (const [offset, hex] of vector.edits ?? []) Buffer.from(hex, "hex").copy(bytes, offset);
      if (vector.truncate !== undefined) bytes = bytes.subarray(0, vector.truncate);
      if (vector.append_hex !== undefined)
        bytes = Buffer.concat([bytes, Buffer.from(vector.append_hex, "hex")]);
      const copy = join(folder, "copy.gguf");
      writeFileSync(copy, bytes);
      let refused = false;
      try {
        readGguf(copy);
      } catch (error) {
        refused = (error as Error).name === "GgufError";
        if (!refused) throw error;
      }
      const wanted = vector.decode_error !== undefined || stricter.has(vector.id);
      check(`corrupt ${vector.id} is refused`, refused, wanted);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

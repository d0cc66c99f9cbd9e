/**
 * Hostile GGUFs: every flaw of security.md that concerns these files, made again from its description,
 * and thousands of random mutations. Each is refused by name and byte, at once, whatever it claims.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GgufError } from "../../../../src/errors.ts";
import { checkGguf } from "../../../../src/model/gguf/check.ts";
import { type GgufPlan, type WriteValue, writeGguf } from "../../../../src/model/gguf/writer.ts";
import { ggufBytes } from "../../../support/gguf.ts";
import { checkMutations } from "../../../support/mutations.ts";

const folder = mkdtempSync(join(tmpdir(), "hutch-hostile-"));
const path = join(folder, "model.gguf");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function check(bytes: Uint8Array) {
  writeFileSync(path, bytes);
  return checkGguf(path);
}

/** The error's text; also that the check was quick and named a place. */
function refusal(bytes: Uint8Array): string {
  const since = performance.now();
  try {
    check(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(GgufError);
    expect((error as GgufError).field).not.toBe("");
    expect(performance.now() - since).toBeLessThan(1000);
    return (error as GgufError).message;
  }
  throw new Error("accepted");
}

type Pairs = Readonly<Record<string, WriteValue>>;

const sound: Pairs = {
  "general.architecture": { type: "string", value: "llama" },
  "llama.block_count": { type: "uint32", value: 1 },
  "llama.embedding_length": { type: "uint32", value: 8 },
  "llama.attention.head_count": { type: "uint32", value: 2 },
  "tokenizer.ggml.model": { type: "string", value: "llama" },
  "tokenizer.ggml.tokens": { type: "array", of: "string", values: ["<unk>", "a", "<0x0A>", "b"] },
  "tokenizer.ggml.scores": { type: "array", of: "float32", values: [0, -1, -2, -3] },
  "tokenizer.ggml.token_type": { type: "array", of: "int32", values: [2, 1, 6, 1] },
};

function written(pairs: Pairs = {}, tensors?: GgufPlan["tensors"]): Buffer {
  const parts: Uint8Array[] = [];
  const embeddings = {
    name: "token_embd.weight",
    type: 0,
    shape: [8, 4],
    data: () => [new Uint8Array(128)],
  };
  writeGguf(
    { write: (bytes) => void parts.push(bytes.slice()) },
    { metadata: Object.entries({ ...sound, ...pairs }), tensors: tensors ?? [embeddings] },
  );
  return Buffer.concat(parts);
}

/** Overwrites a 64-bit number at the first place where `after` ends. */
function patched(bytes: Buffer, after: string, value: bigint, skip = 0): Buffer {
  bytes.writeBigUInt64LE(value, bytes.indexOf(after) + after.length + skip);
  return bytes;
}

const wide = (value: number): WriteValue => ({ type: "uint32", value });

const flaws: Record<string, readonly [bytes: Buffer, text: RegExp]> = {
  "an offset that wraps around 2^64 (CVE-2026-27940, CVE-2025-53630)": [
    patched(written(), "token_embd.weight", 2n ** 64n - 32n, 4 + 16 + 4),
    /tensor "token_embd.weight" offset 18446744073709551584 at byte \d+ overflows/,
  ],
  "a tensor beyond the end of the file (CVE-2026-7482)": [
    patched(written(), "token_embd.weight", 1n << 30n, 4 + 16 + 4),
    /tensor "token_embd.weight" offset\+size \(\d+\) exceeds file size/,
  ],
  "sizes whose product overflows": [
    patched(written(), "token_embd.weight", 2n ** 61n, 4),
    /tensor "token_embd.weight" at byte \d+: the size of dimension 0 overflows/,
  ],
  "a size of zero (PR 24263)": [
    patched(written(), "token_embd.weight", 0n, 4),
    /the size of dimension 0 is zero/,
  ],
  "an alignment of zero (CVE-2025-0312)": [
    written({ "general.alignment": wide(0) }),
    /general.alignment at byte \d+ must be a uint32 power of two/,
  ],
  "an alignment that is a text": [
    written({ "general.alignment": { type: "string", value: "32" } }),
    /general.alignment/,
  ],
  "an empty key (PR 24445)": [written({ "": wide(1) }), /metadata key \d+ at byte \d+ is empty/],
  "more layers than libllama takes (PR 25821)": [
    written({ "llama.block_count": wide(513) }),
    /llama.block_count at byte \d+ must be 0 to 512 layers/,
  ],
  "2^32 - 1 layers, which abort libllama": [
    written({ "llama.block_count": wide(0xffffffff) }),
    /llama.block_count/,
  ],
  "a negative number of layers": [
    written({ "llama.block_count": { type: "int32", value: -1 } }),
    /llama.block_count/,
  ],
  "layers that are a text": [
    written({ "llama.block_count": { type: "string", value: "1" } }),
    /llama.block_count at byte \d+ must be a whole number/,
  ],
  "no heads to divide by": [
    written({ "llama.attention.head_count": wide(0) }),
    /llama.attention.head_count at byte \d+ must be above 0 heads/,
  ],
  "scores of the wrong type (CVE-2025-49847)": [
    written({ "tokenizer.ggml.scores": { type: "array", of: "uint8", values: [0, 1, 2, 3] } }),
    /tokenizer.ggml.scores at byte \d+ must be an array of float32/,
  ],
  "scores that are no array": [
    written({ "tokenizer.ggml.scores": wide(1) }),
    /tokenizer.ggml.scores at byte \d+ must be an array of float32/,
  ],
  "token types fewer than tokens": [
    written({ "tokenizer.ggml.token_type": { type: "array", of: "int32", values: [1] } }),
    /tokenizer.ggml.token_type at byte \d+ has 1 entries for 4 tokens/,
  ],
  "tokens that are numbers": [
    written({ "tokenizer.ggml.tokens": { type: "array", of: "uint32", values: [1, 2] } }),
    /tokenizer.ggml.tokens at byte \d+ must be an array of strings/,
  ],
  "a byte token <0x-1> (lmstudio-bug-tracker 2289)": [
    written({
      "tokenizer.ggml.tokens": {
        type: "array",
        of: "string",
        values: ["<unk>", "a", "<0x-1>", "b"],
      },
    }),
    /tokenizer.ggml.tokens at byte \d+: token 2 is a byte token, but reads "<0x-1>"/,
  ],
  "merges that are numbers": [
    written({ "tokenizer.ggml.merges": { type: "array", of: "uint32", values: [1] } }),
    /tokenizer.ggml.merges at byte \d+ must be an array of strings/,
  ],
  "an array of 2^62 elements (CVE-2025-0315)": [
    patched(written(), "tokenizer.ggml.scores", 2n ** 62n, 8),
    /array length 4611686018427387904 of tokenizer.ggml.scores at byte \d+ is more than the file can hold/,
  ],
  "a width that the tensors do not have": [
    written({ "llama.embedding_length": wide(4096) }),
    /llama.embedding_length at byte \d+ is 4096, but tensor token_embd.weight is 8 wide/,
  ],
};

describe("flaws of the field, made again", () => {
  test("the file that they are made of is sound", () => {
    expect(check(written()).facts).toMatchObject({ architecture: "llama", blockCount: 1 });
  });

  for (const [what, [bytes, text]] of Object.entries(flaws)) {
    test(`${what} is refused`, () => {
      expect(refusal(bytes)).toMatch(text);
    });
  }

  test("a file cut at any byte is refused (CVE-2024-39720)", () => {
    const whole = written();
    for (let length = 0; length < whole.length; length++) {
      refusal(whole.subarray(0, length));
    }
  });

  test("a device, a folder and a missing file are no models", () => {
    expect(() => checkGguf("/dev/null")).toThrow(GgufError);
    expect(() => checkGguf(folder)).toThrow();
    expect(() => checkGguf(join(folder, "missing"))).toThrow("ENOENT");
  });
});

test("random mutations are accepted or refused by name, never anything else", () => {
  // 100,000 of them: bun scripts/fuzz-gguf.ts
  const { accepted, refused, wrong } = checkMutations([ggufBytes(), written()], 5000, 1, path);
  expect(wrong).toEqual([]);
  expect(accepted).toBeGreaterThan(0);
  expect(refused).toBeGreaterThan(2000);
});

/**
 * Checks random mutations of small GGUFs: `bun scripts/fuzz-gguf.ts [COUNT] [SEED]`. Every one must be
 * accepted or refused with a `GgufError` within a second. The unit tests do the first 5,000.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ggufBytes } from "../test/support/gguf.ts";
import { checkMutations } from "../test/support/mutations.ts";

const [count = "100000", seed = "1"] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "hutch-fuzz-"));
try {
  const tokens = ["<unk>", "<s>", "a", "b"];
  const originals = [
    ggufBytes(),
    ggufBytes({ metadata: { "tokenizer.ggml.tokens": tokens, "general.name": "fuzz" } }),
    ggufBytes({ tensors: { "token_embd.weight": [8, 4], "blk.0.attn_q.weight": [8, 8] } }),
  ];
  const path = join(folder, "model.gguf");
  const verdicts = checkMutations(originals, Number(count), Number(seed), path);
  process.stdout.write(
    `${verdicts.accepted} accepted, ${verdicts.refused} refused, ${verdicts.wrong.length} wrong\n`,
  );
  for (const line of verdicts.wrong.slice(0, 20)) process.stdout.write(`${line}\n`);
  process.exitCode = verdicts.wrong.length > 0 ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

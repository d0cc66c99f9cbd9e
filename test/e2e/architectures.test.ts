/**
 * A tiny model of every architecture that can be converted, made by the executable and run by
 * llama.cpp: names, shapes and keys are what it wants. Weights are noise, so only that there is an
 * answer counts.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { supportedClasses } from "../../src/model/convert/architectures/table.ts";
import { haveExecutable, startServer, type TestServer } from "../support/executable.ts";
import { decoders } from "../support/hugging-face/decoders.ts";
import { encoders } from "../support/hugging-face/encoders.ts";
import { gemma4 } from "../support/hugging-face/gemma4.ts";
import { glmVision } from "../support/hugging-face/glm-vl.ts";
import { lfm2vl } from "../support/hugging-face/lfm2-vl.ts";
import { mixtures } from "../support/hugging-face/mixtures.ts";
import { recurrent } from "../support/hugging-face/recurrent.ts";
import { filesOf, width } from "../support/hugging-face/shapes.ts";
import { sighted } from "../support/hugging-face/sighted.ts";
import { png } from "../support/pictures.ts";

const kinds = {
  ...decoders,
  ...mixtures,
  ...encoders,
  ...recurrent,
  ...gemma4,
  ...glmVision,
  ...lfm2vl,
  ...sighted,
};

/** The same as another one here. */
const alike: Record<string, string> = {
  BertForMaskedLM: "BertModel",
  Qwen2Model: "Qwen2ForCausalLM",
  Qwen3Model: "Qwen3ForCausalLM",
  Qwen3_5MoeForConditionalGeneration: "Qwen3_5MoeForCausalLM",
  Gemma3nForCausalLM: "Gemma3nForConditionalGeneration",
  Olmo3ForCausalLM: "Olmo2ForCausalLM",
};

const pictures = [png([220, 90, 10], [40, 10, 90]), png([20, 160, 30], [120, 190, 250])].map(
  (bytes) => Buffer.from(bytes).toString("base64"),
);

interface Likely {
  readonly logprobs: readonly { readonly top_logprobs: readonly { readonly logprob: number }[] }[];
}

describe.skipIf(!haveExecutable)("every architecture", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const generate = (picture: string | undefined) =>
    server.post("/api/generate", {
      model: "tiny",
      prompt: "abc",
      ...(picture === undefined ? { raw: true } : { images: [picture] }),
      stream: false,
      logprobs: true,
      top_logprobs: 5,
      options: { num_predict: 3, temperature: 0 },
    });

  /** The answer follows the picture, and `show` knows that there is one to look at. */
  async function expectSight(): Promise<void> {
    const first = async (picture: string | undefined) => {
      const body = (await (await generate(picture)).json()) as Likely;
      // The likeliest is next to certain where norms are large; the others move.
      return body.logprobs[0]?.top_logprobs ?? [];
    };
    const [one, other] = [await first(pictures[0]), await first(pictures[1])];
    const apart = one.map(({ logprob }, i) => Math.abs(logprob - (other[i]?.logprob ?? 0)));
    expect(Math.max(...apart)).toBeGreaterThan(1e-3);
    const shown = await (await server.post("/api/show", { model: "tiny" })).json();
    expect((shown as { capabilities: string[] }).capabilities).toContain("vision");
  }

  for (const [name, kind] of Object.entries(kinds)) {
    test(`${name} is converted and runs`, async () => {
      const files: Record<string, string> = {};
      for (const [file, bytes] of Object.entries(filesOf(name.split(" ")[0] ?? "", kind))) {
        const digest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
        await fetch(`${server.url}/api/blobs/${digest}`, { method: "POST", body: bytes });
        files[file] = digest;
      }
      const made = await server.post("/api/create", { model: "tiny", files, stream: false });
      expect(await made.json()).toEqual({ status: "success" });
      const answer = await (kind.embeds
        ? server.post("/api/embed", { model: "tiny", input: "abc" })
        : generate(kind.sees ? pictures[0] : undefined));
      const body = (await answer.json()) as { error?: string; embeddings?: number[][] };
      expect([answer.status, body.error]).toEqual([200, undefined]);
      if (kind.embeds) expect(body.embeddings?.[0]).toHaveLength(width);
      if (kind.sees) await expectSight();
    });
  }

  test("none is forgotten here", () => {
    const named = Object.keys(kinds).map((name) => name.split(" ")[0]);
    const tried = new Set([...named, ...Object.keys(alike)]);
    expect(supportedClasses.filter((name) => !tried.has(name))).toEqual([]);
  });
});

/**
 * Recorded imports: safetensors folders, adapters, shards and GGUFs through `POST /api/create`, held
 * against what the reference made of them. Deviations are listed with their reasons.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { haveExecutable } from "../../support/executable.ts";
import { type Fixtures, haveFixtures, makeFixtures, recordedJson } from "../../support/fixtures.ts";
import { type Description, describeGguf } from "./describe.ts";
import { type CaseServer, type Line, type Manifest, startCaseServer, steps } from "./server.ts";

interface Recorded {
  readonly lines: readonly Line[];
  readonly manifest?: Manifest;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly gguf?: Readonly<Record<"model" | "adapter", Description>>;
  readonly generate?: { readonly logprobs: readonly (readonly [string, number])[] } | null;
  readonly embed?: {
    readonly input: readonly string[];
    readonly first8: readonly (readonly number[])[];
  };
  readonly show?: { readonly model_info: Readonly<Record<string, unknown>> };
}

type Files = Record<string, string>;

/** Files of a request, from fixtures. */
interface Input {
  readonly files?: (made: Fixtures) => Files;
  readonly adapters?: (made: Fixtures) => Files;
  /** A fixture that is stored before as `i-base`. */
  readonly base?: string;
  readonly quantize?: string;
}

function folder(name: string, ...without: string[]) {
  return (made: Fixtures): Files =>
    Object.fromEntries(
      Object.entries(made.files("hf", name)).filter(([file]) => !without.includes(file)),
    );
}

const gguf =
  (name: string, as = name) =>
  (made: Fixtures) => ({ [as]: made.path("gguf", name) });
const split = (made: Fixtures) => made.files("gguf", "split");
const bpe = folder("llama-f16-bpe");

const plain = [
  "bert-f16-cls",
  "bert-f32",
  "llama-bf16-sharded-spm",
  "llama-f16-bpe",
  "llama-f16-bpe-pairs",
  "llama-f16-padded-vocab",
  "llama-f16-rope3-template",
  "llama-f32-tied-spm",
  "llama-f32-untied-mha-spm",
];

/** Cases that give equal files, keys, texts. */
const equal: Record<string, Input> = {
  ...Object.fromEntries(plain.map((name) => [name, { files: folder(name) }])),
  "bert-f32 without vocab.txt": { files: folder("bert-f32", "vocab.txt") },
  "llama-f16-bpe without tokenizer_config.json": {
    files: folder("llama-f16-bpe", "tokenizer_config.json"),
  },
  "llama-f16-bpe quantised to Q8_0": { files: bpe, quantize: "q8_0" },
  "llama-f32-tied-spm quantised to Q4_K_M (rows of 64)": {
    files: folder("llama-f32-tied-spm"),
    quantize: "q4_K_M",
  },
  "split GGUF, both shards": { files: split },
  "split GGUF quantised to Q8_0": { files: split, quantize: "q8_0" },
};

/** Words of a refusal as recorded, at the start of ours. */
const refused: Record<string, Input> = {
  "unknown-arch": { files: folder("unknown-arch") },
  "llama-f16-bpe without config.json": { files: folder("llama-f16-bpe", "config.json") },
  "llama-f16-bpe without tokenizer": { files: folder("llama-f16-bpe", "tokenizer.json") },
  "lora-peft without a base": { files: () => ({}), adapters: folder("lora-peft") },
  "lora-peft on bert": { files: folder("bert-f32"), adapters: folder("lora-peft") },
  "two GGUF adapters": {
    base: "llama-f16-bpe",
    adapters: (made) => ({
      ...gguf("small-f16.gguf", "a.gguf")(made),
      ...gguf("small-f16.gguf", "b.gguf")(made),
    }),
  },
  "split GGUF, first shard only": {
    files: (made) => ({
      "model-00001-of-00002.gguf": split(made)["model-00001-of-00002.gguf"] ?? "",
    }),
  },
  "split GGUF, second shard only": {
    files: (made) => ({
      "model-00002-of-00002.gguf": split(made)["model-00002-of-00002.gguf"] ?? "",
    }),
  },
  "split GGUF, plain names": {
    files: (made) =>
      Object.fromEntries(Object.values(split(made)).map((path, i) => [`${"ab"[i]}.gguf`, path])),
  },
  "split GGUF, shards swapped": {
    files: (made) => {
      const [first = "", second = ""] = Object.values(split(made));
      return { "model-00001-of-00002.gguf": second, "model-00002-of-00002.gguf": first };
    },
  },
  "split GGUF, one shard twice": {
    files: (made) => {
      const [first = ""] = Object.values(split(made));
      return { "model-00001-of-00002.gguf": first, "model-00002-of-00002.gguf": first };
    },
  },
};

/** A LoRA: the base is equal; of the adapter all but queries and keys, which the reference scrambles. */
const adapters: Record<string, Input> = {
  "lora-peft on llama-f16-bpe (files)": { files: bpe, adapters: folder("lora-peft") },
  "lora-peft-mlp on llama-f16-bpe (files)": { files: bpe, adapters: folder("lora-peft-mlp") },
  "lora-mlx on llama-f16-bpe (files)": { files: bpe, adapters: folder("lora-mlx") },
  "lora-peft from i-base": { base: "llama-f16-bpe", adapters: folder("lora-peft") },
};

function sortedPairs({ kv }: Description) {
  return kv.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

describe.skipIf(!haveFixtures || !haveExecutable)("recorded imports", () => {
  let made: Fixtures;
  let server: CaseServer;
  let cases: Readonly<Record<string, Recorded>>;

  beforeAll(async () => {
    made = makeFixtures("make_fixtures.py");
    ({ cases } = await recordedJson<{ cases: Record<string, Recorded> }>("import.json"));
    server = await startCaseServer();
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    made?.[Symbol.dispose]();
  });

  function recorded(name: string): Recorded {
    const found = cases[name];
    if (found === undefined) throw new Error(`no recorded case ${name}`);
    return found;
  }

  async function create(model: string, input: Input, more: Record<string, unknown> = {}) {
    if (input.base !== undefined) {
      await server.create({
        model: "i-base",
        files: await server.upload(folder(input.base)(made)),
      });
    }
    return server.create({
      model,
      ...(input.base === undefined ? {} : { from: "i-base" }),
      ...(input.files === undefined ? {} : { files: await server.upload(input.files(made)) }),
      ...(input.adapters === undefined
        ? {}
        : { adapters: await server.upload(input.adapters(made)) }),
      ...(input.quantize === undefined ? {} : { quantize: input.quantize }),
      ...more,
    });
  }

  /** Lines with "creating" and "using" alike: what a store holds already depends on the cases before. */
  function told(lines: readonly Line[], digests: boolean): string[] {
    return steps(lines).map(({ status = "", error = "" }) => {
      const text = status.replace(/^(creating new|using existing) layer/, "layer");
      return (digests ? text : text.replace(/sha256:\w+/, "…")) + error;
    });
  }

  for (const [name, input] of Object.entries(equal)) {
    test(`${name}: the same file, configuration and lines`, async () => {
      const want = recorded(name);
      const model = `m${Bun.hash(name)}`;
      const { status, lines } = await create(model, input);
      expect(status).toBe(200);
      expect(told(lines, true)).toEqual(told(want.lines, true));
      const stored = server.manifest(model);
      expect(stored?.config).toEqual(want.config as Record<string, unknown>);
      const [layer] = stored?.layers ?? [];
      expect(describeGguf(server.blob(layer?.digest ?? ""))).toEqual({
        kv: want.gguf?.model.kv ?? [],
        tensors: want.gguf?.model.tensors ?? [],
      });
      expect(stored?.layers).toEqual(want.manifest?.layers as Manifest["layers"]);
      await answers(model, want);
    });
  }

  /** Texts and vectors, where recorded: weights are random, so numbers are compared loosely. */
  async function answers(model: string, want: Recorded): Promise<void> {
    const show = (await (await server.server.post("/api/show", { model })).json()) as {
      model_info: unknown;
    };
    expect(show.model_info).toEqual(want.show?.model_info);
    if (want.generate) {
      const answer = await server.server.post("/api/generate", {
        model,
        prompt: "Once upon a time",
        stream: false,
        raw: true,
        logprobs: true,
        options: { temperature: 0, num_predict: 8 },
      });
      const { logprobs = [] } = (await answer.json()) as { logprobs?: { logprob: number }[] };
      // From the end: the reference joins tokens that are no whole characters, so positions shift.
      for (const [, logprob] of want.generate.logprobs.slice(-4).toReversed()) {
        expect(Math.abs((logprobs.pop()?.logprob ?? 0) - logprob)).toBeLessThan(0.05);
      }
    }
    if (want.embed) {
      const answer = await server.server.post("/api/embed", { model, input: want.embed.input });
      const { embeddings } = (await answer.json()) as { embeddings: number[][] };
      const differences = want.embed.first8.flatMap((vector, text) =>
        vector.map((value, i) => Math.abs(value - (embeddings[text]?.[i] ?? 9))),
      );
      expect(Math.max(...differences)).toBeLessThan(0.01);
    }
  }

  for (const [name, input] of Object.entries(refused)) {
    test(`${name}: refused in the same words`, async () => {
      const want = recorded(name);
      const { lines } = await create("refused", input);
      const text = want.lines.at(-1)?.error ?? "";
      expect(lines.at(-1)?.error).toStartWith(text);
      expect(told(lines.slice(0, -1), false)).toEqual(told(want.lines.slice(0, -1), false));
      expect(server.manifest("refused")).toBeUndefined();
      const plainAnswer = await create("refused", input, { stream: false });
      expect(plainAnswer.status).toBe(400);
    });
  }

  for (const [name, input] of Object.entries(adapters)) {
    test(`${name}: the same base, the adapter as mathematics wants it`, async () => {
      const want = recorded(name);
      const { lines } = await create("lora", input);
      expect(told(lines, false)).toEqual(told(want.lines, false));
      const stored = server.manifest("lora");
      const [model, adapter] = (stored?.layers ?? []).map(({ digest }) =>
        describeGguf(server.blob(digest)),
      );
      expect(model).toEqual({
        kv: want.gguf?.model.kv ?? [],
        tensors: want.gguf?.model.tensors ?? [],
      });
      expect(adapter && sortedPairs(adapter)).toEqual(want.gguf && sortedPairs(want.gguf.adapter));
      const untouched = (description: Description | undefined) =>
        description?.tensors.map(([tensor, type, shape, hash]) =>
          /attn_[qk]\./.test(tensor) ? [tensor, type, shape] : [tensor, type, shape, hash],
        );
      expect(untouched(adapter)).toEqual(untouched(want.gguf?.adapter));
      const answer = await server.server.post("/api/generate", {
        model: "lora",
        prompt: "Once",
        stream: false,
        options: { num_predict: 4 },
      });
      expect(answer.status).toBe(200);
    });
  }

  test("mistral is imported, which the reference refuses since 0.5", async () => {
    const { lines } = await create("mistral", { files: folder("mistral-bf16") });
    expect(lines.at(-1)).toEqual({ status: "success" });
    expect(server.manifest("mistral")?.config).toMatchObject({ model_family: "llama" });
  });

  test("an encoder without modules.json pools by the mean", async () => {
    const { lines } = await create("mean", { files: folder("bert-f32", "modules.json") });
    expect(lines.at(-1)).toEqual({ status: "success" });
    const answer = await server.server.post("/api/embed", { model: "mean", input: "the cat" });
    expect(answer.status).toBe(200);
  });

  test("a chat template in a file of its own is taken", async () => {
    const { lines } = await create("jinja", { files: folder("llama-f16-jinja-file") });
    expect(lines).toContainEqual({ status: "using autodetected template chatml" });
  });

  test("a missing shard is named, where the reference makes a model that does not load", async () => {
    const files = folder("llama-bf16-sharded-spm", "model-00002-of-00003.safetensors");
    const { status, lines } = await create("holes", { files }, { stream: false });
    expect(status).toBe(400);
    expect(lines[0]?.error).toBe("missing shard model-00002-of-00003.safetensors");
  });

  test("a configuration beside a GGUF does not hinder", async () => {
    const files = (made: Fixtures) => ({
      ...gguf("small-f16.gguf")(made),
      "config.json": made.path("hf/llama-f16-bpe/config.json"),
    });
    expect((await create("beside", { files })).lines.at(-1)).toEqual({ status: "success" });
  });

  test("an uploaded GGUF is kept as it is, whatever its name", async () => {
    for (const as of ["small-f16.gguf", "model"]) {
      const files = await server.upload(gguf("small-f16.gguf", as)(made));
      const { lines } = await server.create({ model: "kept", files });
      expect(lines.map(({ status }) => status)).toEqual([
        "parsing GGUF",
        `using existing layer ${files[as]}`,
        "writing manifest",
        "success",
      ]);
    }
  });

  test("a model is no adapter, and an adapter no model", async () => {
    const files = bpe(made);
    await server.create({ model: "i-base", files: await server.upload(files) });
    const model = await server.upload(gguf("small-f16.gguf", "a.gguf")(made));
    const asAdapter = await server.create({
      model: "wrong",
      from: "i-base",
      adapters: model,
      stream: false,
    });
    expect(asAdapter).toEqual({
      status: 400,
      lines: [{ error: 'file "a.gguf" is a model, not an adapter' }],
    });
    await create("lora", adapters["lora-peft from i-base"] ?? {});
    const adapter = server.manifest("lora")?.layers.at(-1)?.digest;
    const asModel = await server.create({
      model: "wrong",
      files: { "a.gguf": adapter },
      stream: false,
    });
    expect(asModel).toEqual({ status: 400, lines: [{ error: "no base model was found" }] });
  });
});

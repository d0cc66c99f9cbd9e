/** Recorded quantisations: every type byte for byte as `llama-quantize` makes it, refusals as recorded. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { quantizeTypes } from "../../../src/model/create/quantize.ts";
import { haveExecutable } from "../../support/executable.ts";
import { type Fixtures, haveFixtures, makeFixtures, recordedJson } from "../../support/fixtures.ts";
import { describeGguf } from "./describe.ts";
import { type CaseServer, startCaseServer, steps } from "./server.ts";

interface QuantizeCase {
  readonly source?: string;
  readonly request?: Readonly<Record<string, string>>;
  readonly lines?: readonly { readonly error?: string }[];
  readonly result?: {
    readonly layer: { readonly digest: string; readonly size: number };
    readonly config: Readonly<Record<string, unknown>>;
    readonly kv_file_type: number;
    readonly tensors: Readonly<Record<string, string>>;
  };
}

interface Recorded {
  readonly documented_types: Readonly<Record<string, QuantizeCase>>;
  readonly other_names: Readonly<Record<string, QuantizeCase>>;
  readonly cases: Readonly<Record<string, QuantizeCase>>;
  readonly llama_quantize: {
    readonly types: Readonly<
      Record<
        string,
        { readonly sha256: string; readonly tensors: Readonly<Record<string, string>> }
      >
    >;
  };
}

const source = "quant-source-f16.gguf";

describe.skipIf(!haveFixtures || !haveExecutable)("recorded quantisations", () => {
  let made: Fixtures;
  let server: CaseServer;
  let recorded: Recorded;

  beforeAll(async () => {
    made = makeFixtures("make_fixtures.py");
    recorded = await recordedJson("quantize.json");
    server = await startCaseServer();
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    made?.[Symbol.dispose]();
  });

  async function create(file: string, request: Readonly<Record<string, unknown>>) {
    const files = await server.upload({ [file]: made.path("gguf", file) });
    return server.create({ model: "q", files, ...request });
  }

  function tensorTypes(): Record<string, string> {
    const [layer] = server.manifest("q")?.layers ?? [];
    const { tensors } = describeGguf(server.blob(layer?.digest ?? ""));
    return Object.fromEntries(tensors.map(([name, type]) => [name, type]));
  }

  test("every documented type, in any case, is the file that llama-quantize makes", async () => {
    const { types } = recorded.llama_quantize;
    for (const name of [
      ...Object.keys(recorded.documented_types),
      "iq4_xs",
      "IQ4_nl",
      "F32",
      "bf16",
    ]) {
      const want = types[name.toUpperCase()];
      const { lines } = await create(source, { quantize: name });
      const line = lines.find(({ status }) => status?.startsWith("quantizing "));
      expect(line).toMatchObject({
        status: `quantizing F16 model to ${name.toUpperCase()}`,
        digest: "0000000000000000000",
        total: statSync(made.path("gguf", source)).size,
      });
      expect(steps(lines).map(({ status }) => status)).toEqual([
        "parsing GGUF",
        "verifying conversion",
        `creating new layer sha256:${want?.sha256}`,
        "writing manifest",
        "success",
      ]);
      expect(tensorTypes()).toEqual(want?.tensors ?? {});
      await server.server.request("DELETE", "/api/delete", { model: "q" });
    }
  });

  test("types that the documents do not name are made too, and run", async () => {
    const unnamed = quantizeTypes.filter((name) => !(name in recorded.llama_quantize.types));
    expect(unnamed).toContain("IQ3_S");
    for (const quantize of unnamed) {
      expect((await create(source, { quantize, stream: false })).lines).toEqual([
        { status: "success" },
      ]);
      expect(server.manifest("q")?.config).toMatchObject({ file_type: quantize });
      const request = { model: "q", prompt: "Once", stream: false, options: { num_predict: 2 } };
      expect((await server.server.post("/api/generate", request)).status, quantize).toBe(200);
    }
  });

  test("sources of other formats and odd sizes give the recorded files", async () => {
    for (const name of [
      "old field quantization",
      "bf16 source to Q8_0",
      "bf16 source to Q4_K_M",
      "bf16 source to F16",
      "f16 to F32",
      "rows not multiple of 256 to Q4_K_M",
      "rows not multiple of 256 to Q8_0",
    ]) {
      const want = recorded.cases[name];
      await create(want?.source ?? "", want?.request ?? {});
      const stored = server.manifest("q");
      expect(stored?.layers[0]?.digest, name).toBe(want?.result?.layer.digest ?? "");
      expect(stored?.config, name).toEqual(want?.result?.config ?? {});
      expect(tensorTypes(), name).toEqual(want?.result?.tensors ?? {});
    }
  });

  test("a stored model is quantised; a quantised one is not again", async () => {
    const files = await server.upload({ "q.gguf": made.path("gguf", source) });
    await server.create({ model: "qsrc", files });
    const done = await server.create({ model: "q", from: "qsrc", quantize: "q4_K_M" });
    expect(done.lines.at(-1)).toEqual({ status: "success" });
    const want = recorded.cases["from a stored F16 model"]?.result;
    expect(server.manifest("q")?.layers[0]).toEqual({
      mediaType: "application/vnd.ollama.image.model",
      digest: want?.layer.digest ?? "",
      size: want?.layer.size ?? 0,
    });
    for (const quantize of ["q8_0", "q4_K_M"]) {
      expect(await server.create({ model: "q2", from: "q", quantize })).toEqual({
        status: 500,
        lines: [{ error: "quantization is only supported for F16, BF16 and F32 models" }],
      });
    }
  });

  test("an F32 file is a source, which the reference overlooks", async () => {
    const { lines } = await create("quant-source-f32.gguf", { quantize: "q8_0" });
    expect(lines.at(-1)).toEqual({ status: "success" });
    expect(lines).toContainEqual(
      expect.objectContaining({ status: "quantizing F32 model to Q8_0" }),
    );
    expect(server.manifest("q")?.config).toMatchObject({ file_type: "Q8_0" });
  });

  test("the same type changes nothing", async () => {
    const { lines } = await create(source, { quantize: "f16" });
    expect(lines.map(({ status }) => status?.slice(0, 20))).toEqual([
      "parsing GGUF",
      "using existing layer",
      "writing manifest",
      "success",
    ]);
  });

  test("names that there are not are refused with the list of those that there are", async () => {
    for (const name of ["Q9", "Q4", "  Q8_0", "MXFP4", "COPY", "IQ2_XXS"]) {
      const want = recorded.other_names[name]?.lines?.at(-1)?.error ?? "";
      const { status, lines } = await create(source, { quantize: name, stream: false });
      expect(status).toBe(500);
      const [start = ""] = want.split(" - ");
      expect(lines[0]?.error).toStartWith(`${start} - supported types are F32, F16, `);
    }
  });
});

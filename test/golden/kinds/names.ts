/** Model names, references with suffixes, digests, manifest paths, shard names. */
import { blobFileName, parseDigest } from "../../../src/model/digest.ts";
import {
  displayName,
  fullName,
  isValidName,
  isValidPart,
  manifestPath,
  nameOfPath,
  parseBareName,
  parseName,
  parseReference,
  parseShardName,
  pullForm,
  splitReference,
} from "../../../src/model/name.ts";
import { type KindContext, outcomeOf } from "./context.ts";

type Row = Record<string, unknown> & { input: string };

function parsed(input: string): Record<string, unknown> {
  const name = parseName(input);
  const valid = isValidName(name);
  const { scheme, host, namespace, model, tag } = name;
  return {
    input,
    bare: parseBareName(input),
    display_shortest: displayName(name),
    scheme,
    host,
    namespace,
    model,
    tag,
    string: fullName(name),
    valid,
    ...(valid
      ? {
          base_url: `${scheme}://${host}`,
          filepath: manifestPath(name),
          manifest_path: `<ROOT>/manifests/${manifestPath(name)}`,
        }
      : { unqualified_error: `unqualified name: ${fullName(name)}` }),
  };
}

function reference(input: string): Record<string, unknown> {
  const split = outcomeOf(() => splitReference(input)) as { error?: string };
  if (split.error !== undefined) {
    return { input, name_error: split.error, pull_error: split.error, ref_error: split.error };
  }
  const whole = splitReference(input);
  const base = { input, base: whole.base, source: whole.source };
  const name = outcomeOf(() => fullName(parseReference(input).name)) as { error?: string } | string;
  const pull = pullForm(whole);
  const pullName = parseName(pull);
  const pullFull = isValidName(pullName);
  return {
    ...base,
    ...(typeof name === "string" ? { name } : { name_error: name.error }),
    ...(pullFull
      ? { pull_base: pull, pull_name: fullName(pullName) }
      : { pull_error: `unqualified name: ${fullName(pullName)}` }),
  };
}

export function names(data: Record<string, unknown>, { check }: KindContext): void {
  for (const vector of data.vectors as Row[]) {
    const actual = parsed(vector.input);
    if (vector.valid) check(`name ${vector.input}`, actual, vector);
    else {
      // An invalid name's parts are informative only.
      check(`name ${vector.input}`, actual.valid, false);
    }
  }
  for (const vector of data.refs as Row[]) {
    check(`reference ${vector.input}`, reference(vector.input), vector);
  }
  for (const vector of data.digests as Row[]) {
    const actual = outcomeOf(() => ({
      input: vector.input,
      path: `<ROOT>/blobs/${blobFileName(parseDigest(vector.input))}`,
      valid: true,
    })) as { error?: string };
    // The empty digest is refused and upper-case digits are lower-cased here (README of the vectors).
    const expected =
      vector.input === ""
        ? { input: "", valid: false, error: "invalid digest format" }
        : {
            ...vector,
            ...(vector.valid
              ? { path: String(vector.path).toLowerCase().replace("<root>", "<ROOT>") }
              : {}),
          };
    const shown =
      actual.error === undefined ? actual : { ...actual, input: vector.input, valid: false };
    check(`digest ${vector.input}`, shown, expected);
  }
  for (const vector of data.filepaths as Row[]) {
    const name = nameOfPath(vector.input);
    const string = name === undefined ? "" : fullName(name);
    check(
      `path ${vector.input}`,
      { input: vector.input, string, valid: name !== undefined },
      vector,
    );
  }
  for (const vector of data.namespaces as Row[]) {
    check(`namespace ${vector.input}`, isValidPart("namespace", vector.input), vector.valid);
  }
  for (const vector of data.split_names as Row[]) {
    const shard = parseShardName(vector.input);
    const actual = {
      input: vector.input,
      ok: shard !== undefined,
      prefix: "",
      index: 0,
      count: 0,
      ...shard,
    };
    check(`shard ${vector.input}`, actual, vector);
  }
}

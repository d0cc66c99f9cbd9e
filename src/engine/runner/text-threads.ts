/**
 * Long texts are cut into tokens by native threads, so that the steps of others go on meanwhile: a
 * megabyte takes a second. This looks now and then whether they are done. Short texts are cut at once by
 * whoever has them: that is over before a thread has begun.
 */
import type { NativeModel, TextToCut } from "../../../ffi/native.ts";
import { EngineError } from "../../errors.ts";

/**
 * Texts of so many UTF-16 units together are long: 10 ms of the tokenizer. Prompts of less that come
 * together are ready together, and so evaluated together; one by one they would take half as long again.
 */
export const longFrom = 16_384;

/** Milliseconds between two looks. */
const lookEvery = 1;

/** Whether texts are so long that threads should cut them. */
export function areLong(texts: readonly { readonly text: string }[]): boolean {
  let units = 0;
  for (const { text } of texts) units += text.length;
  return units >= longFrom;
}

/**
 * Tokens of each text, made beside the steps.
 *
 * @param canceled asked now and then; ends the work with an error
 * @throws EngineError
 */
export async function cutBeside(
  model: NativeModel,
  texts: readonly TextToCut[],
  addSpecial: boolean,
  canceled: () => boolean = () => false,
): Promise<Int32Array[]> {
  const tokenizing = model.tokenizeBeside(texts, addSpecial);
  try {
    for (;;) {
      await Bun.sleep(lookEvery);
      if (canceled()) throw new EngineError("cancelled");
      const tokens = tokenizing.take();
      if (tokens !== undefined) return tokens;
    }
  } finally {
    tokenizing.free();
  }
}

/** Tokens of one text, special ones in it counted or not. Otherwise as `cutBeside`. */
export async function cutOneBeside(
  model: NativeModel,
  text: TextToCut,
  addSpecial: boolean,
  canceled?: () => boolean,
): Promise<Int32Array> {
  const [tokens] = await cutBeside(model, [text], addSpecial, canceled);
  return tokens ?? new Int32Array(0);
}

/** Tokens as a list for a message. By index: `Array.from` takes ten times as long for a megabyte's. */
export function listOf(tokens: Int32Array): number[] {
  const list = new Array<number>(tokens.length);
  for (let i = 0; i < tokens.length; i++) list[i] = tokens[i] ?? 0;
  return list;
}

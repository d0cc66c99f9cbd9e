/** Embeddings of many texts: as many as there are sequences and room share one batch. */
import { facts, type NativeModel, type StepBuffers, status } from "../../../ffi/native.ts";
import { ContextOverflowError, EngineError } from "../../errors.ts";

/**
 * @param sequences free and empty sequences; empty again afterwards
 * @param inputs tokens of each text
 * @throws ContextOverflowError when a text does not fit into one batch
 */
export function embedAll(
  model: NativeModel,
  step: StepBuffers,
  sequences: readonly number[],
  inputs: readonly (readonly number[])[],
  normalize: boolean,
): Float32Array[] {
  const most = Math.min(step.capacity, model.fact(facts.context));
  const long = inputs.find(({ length }) => length > most);
  if (long !== undefined) {
    throw new ContextOverflowError(
      "the input length exceeds the context length",
      long.length,
      most,
    );
  }
  const width = model.fact(facts.embedding);
  const vectors: Float32Array[] = [];
  model.setEmbeddings(true);
  try {
    while (vectors.length < inputs.length) {
      const ends: { sequence: number; row: number }[] = [];
      let rows = 0;
      for (const input of inputs.slice(vectors.length, vectors.length + sequences.length)) {
        if (rows + input.length > step.capacity) break;
        const sequence = sequences[ends.length] ?? 0;
        if (input.length === 0) throw new EngineError("an input has no tokens");
        input.forEach((token, position) => {
          step.tokens[rows] = token;
          step.positions[rows] = position;
          step.sequences[rows] = sequence;
          step.wanted[rows] = 1;
          rows++;
        });
        ends.push({ sequence, row: rows - 1 });
      }
      const result = model.decode(step, rows);
      if (result !== status.ok) throw new EngineError(model.lastError());
      for (const { sequence, row } of ends) {
        vectors.push(model.embedding(sequence, row, normalize, width));
      }
      for (const { sequence } of ends) model.remove(sequence, -1, -1);
    }
  } finally {
    model.setEmbeddings(false);
    for (const sequence of sequences) model.remove(sequence, -1, -1);
  }
  return vectors;
}

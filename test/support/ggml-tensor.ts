/** Tensors as ggml's functions take them (struct ggml_tensor of ggml.h), for tests that call these alone. */
import { type Pointer, ptr } from "bun:ffi";

type Four = readonly [number, number, number, number];

/** What a tensor says of itself; its fields are those of struct ggml_tensor. */
export interface TensorFacts {
  /** Number of the type in ggml. */
  readonly type: number;
  readonly data: ArrayBufferView;
  /** Values, innermost first. */
  readonly ne: Four;
  /** Bytes from one to the next. */
  readonly nb: Four;
  /** Parameters of the operation whose result it is. */
  readonly parameters?: Float32Array;
  readonly sources?: readonly (GgmlTensor | undefined)[];
}

const bytes = 336;
const at = { type: 0, ne: 16, nb: 48, parameters: 84, sources: 152, data: 248 };

export class GgmlTensor {
  readonly facts: TensorFacts;
  readonly #struct = new Uint8Array(bytes);

  constructor(facts: TensorFacts) {
    this.facts = facts;
    const view = new DataView(this.#struct.buffer);
    view.setInt32(at.type, facts.type, true);
    for (let i = 0; i < 4; i++) {
      view.setBigInt64(at.ne + 8 * i, BigInt(facts.ne[i] ?? 1), true);
      view.setBigUint64(at.nb + 8 * i, BigInt(facts.nb[i] ?? 0), true);
    }
    for (const [i, value] of facts.parameters?.entries() ?? []) {
      view.setFloat32(at.parameters + 4 * i, value, true);
    }
    for (const [i, source] of facts.sources?.entries() ?? []) {
      view.setBigUint64(at.sources + 8 * i, BigInt(source?.pointer ?? 0), true);
    }
    view.setBigUint64(at.data, BigInt(ptr(facts.data as Uint8Array)), true);
  }

  get pointer(): Pointer {
    return ptr(this.#struct);
  }
}

/**
 * struct ggml_compute_params of one of some threads that share no pool.
 *
 * @param work what the operation may write while it computes
 */
export function computeParams(thread: number, threads: number, work?: Float32Array): Uint8Array {
  const params = new DataView(new ArrayBuffer(40));
  params.setInt32(0, thread, true);
  params.setInt32(4, threads, true);
  params.setBigUint64(8, BigInt(work?.byteLength ?? 0), true);
  params.setBigUint64(16, BigInt(work === undefined ? 0 : ptr(work)), true);
  return new Uint8Array(params.buffer);
}

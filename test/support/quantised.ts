/**
 * Matrices of blocks with chosen bits, and what their values are: the layouts of ggml-common.h, read
 * one value at a time.
 */

/** A type of block: its number in ggml, its size, and how it is filled and read. */
export interface BlockType {
  readonly id: number;
  readonly bytes: number;
  /** Values in a block. */
  readonly values: number;
  /** Fills a block with any bits that such a block may have. */
  readonly fill: (block: Buffer, next: () => number) => void;
  readonly read: (block: Buffer, at: number) => number;
}

/** Numbers below 2^32, the same in every run. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  };
}

const half = new Float16Array(1);
const halfBits = new Uint16Array(half.buffer);

function readHalf(block: Buffer, at: number): number {
  halfBits[0] = block.readUInt16LE(at);
  return half[0] ?? 0;
}

function writeHalf(block: Buffer, at: number, value: number): void {
  half[0] = value;
  block.writeUInt16LE(halfBits[0] ?? 0, at);
}

/** From -0.06 to 0.06. */
const scaleOf = (next: () => number): number => (next() / 2 ** 32 - 0.5) / 8;

/** From -127 to 127, the ends more often than not. */
function signedByte(next: () => number): number {
  const any = (next() >>> 8) % 400;
  if (any <= 254) return any - 127;
  return any % 2 === 0 ? 127 : -127;
}

function fillBytes(block: Buffer, from: number, to: number, next: () => number): void {
  for (let i = from; i < to; i++) {
    const any = next();
    block[i] = any % 5 === 0 ? 255 : any >>> 9; // often all that a field can hold
  }
}

/** 32 bytes with a scale. */
export const q8_0: BlockType = {
  id: 8,
  bytes: 34,
  values: 32,
  fill(block, next) {
    writeHalf(block, 0, scaleOf(next));
    for (let i = 0; i < 32; i++) block.writeInt8(signedByte(next), 2 + i);
  },
  read: (block, at) => readHalf(block, 0) * block.readInt8(2 + at),
};

/** 256 bytes with a scale and the sums of each 16: what activations become beside K-quants. */
export const q8_K: BlockType = {
  id: 15,
  bytes: 292,
  values: 256,
  fill(block, next) {
    block.writeFloatLE(scaleOf(next), 0);
    for (let part = 0; part < 16; part++) {
      let sum = 0;
      for (let i = 16 * part; i < 16 * part + 16; i++) {
        const value = signedByte(next);
        block.writeInt8(value, 4 + i);
        sum += value;
      }
      block.writeInt16LE(sum, 260 + 2 * part);
    }
  },
  read: (block, at) => block.readFloatLE(0) * block.readInt8(4 + at),
};

/** 6 bits a value, a scale of 8 bits for each 16, a scale of all. */
export const q6_K: BlockType = {
  id: 14,
  bytes: 210,
  values: 256,
  fill(block, next) {
    fillBytes(block, 0, 208, next);
    writeHalf(block, 208, scaleOf(next));
  },
  read(block, at) {
    const side = at >> 7; // of two, of 128 values in 64 + 32 bytes
    const quarter = (at >> 5) & 3; // in the order of their bits
    const i = at & 31;
    const low = block[64 * side + 32 * (quarter & 1) + i] ?? 0;
    const high = block[128 + 32 * side + i] ?? 0;
    const value = ((low >> (quarter < 2 ? 0 : 4)) & 15) | (((high >> (2 * quarter)) & 3) << 4);
    return readHalf(block, 208) * block.readInt8(192 + (at >> 4)) * (value - 32);
  },
};

/** 5 bits a value, a scale and a least value of 6 bits for each 32, a scale of each for all. */
export const q5_K: BlockType = {
  id: 13,
  bytes: 176,
  values: 256,
  fill(block, next) {
    writeHalf(block, 0, scaleOf(next));
    writeHalf(block, 2, scaleOf(next));
    fillBytes(block, 4, 176, next);
  },
  read(block, at) {
    const part = at >> 5;
    const byte = (i: number) => block[4 + i] ?? 0;
    const [scale, least] =
      part < 4
        ? [byte(part) & 63, byte(part + 4) & 63]
        : [
            (byte(part + 4) & 15) | ((byte(part - 4) >> 6) << 4),
            (byte(part + 4) >> 4) | ((byte(part) >> 6) << 4),
          ];
    const low = ((block[48 + 32 * (part >> 1) + (at & 31)] ?? 0) >> (4 * (part & 1))) & 15;
    const fifth = ((block[16 + (at & 31)] ?? 0) >> part) & 1;
    return readHalf(block, 0) * scale * (low | (fifth << 4)) - readHalf(block, 2) * least;
  },
};

/** 32 halves: as many as kernels take at a time. */
export const f16: BlockType = {
  id: 1,
  bytes: 64,
  values: 32,
  fill(block, next) {
    for (let i = 0; i < 32; i++) writeHalf(block, 2 * i, scaleOf(next));
  },
  read: (block, at) => readHalf(block, 2 * at),
};

/** 32 upper halves of 32-bit floats. */
export const bf16: BlockType = {
  id: 30,
  bytes: 64,
  values: 32,
  fill(block, next) {
    const whole = Buffer.alloc(4);
    for (let i = 0; i < 32; i++) {
      whole.writeFloatLE(scaleOf(next), 0);
      whole.copy(block, 2 * i, 2, 4);
    }
  },
  read(block, at) {
    const whole = Buffer.alloc(4);
    block.copy(whole, 2, 2 * at, 2 * at + 2);
    return whole.readFloatLE(0);
  },
};

export interface Matrix {
  readonly type: BlockType;
  readonly bytes: Buffer;
  /** Blocks from one row to the next. */
  readonly stride: number;
  /** The values of a row's first blocks. */
  readonly row: (row: number, blocks: number) => Float64Array;
}

export function matrix(type: BlockType, rows: number, stride: number, next: () => number): Matrix {
  const bytes = Buffer.alloc(rows * stride * type.bytes);
  const block = (i: number) => bytes.subarray(i * type.bytes, (i + 1) * type.bytes);
  for (let i = 0; i < rows * stride; i++) type.fill(block(i), next);
  return {
    type,
    bytes,
    stride,
    row: (row, blocks) =>
      Float64Array.from({ length: blocks * type.values }, (_, i) =>
        type.read(block(row * stride + Math.floor(i / type.values)), i % type.values),
      ),
  };
}

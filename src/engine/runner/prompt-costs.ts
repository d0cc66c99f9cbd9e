/**
 * What evaluating pieces of prompts costs on this machine with this model, learned from the steps
 * themselves: a part for each token, and a part for each token and token before it, which it looks back
 * at. ggml's flash attention on CPUs works on tiles of 64 tokens of one sequence and is two to three
 * times as fast there as with fewer (bench/README.md), so long prompts are cut into such pieces.
 */

/** Tokens of a piece from which on attention is tiled (GGML_FA_TILE_Q). */
const tile = 64;
/** A tile that takes longer than a step should is taken when it is so many times as fast as smaller pieces. */
const muchFaster = 1.3;
/** Pieces with fewer tokens behind them tell of the first part, those with more of the second. */
const shortHistory = 256;
/** Smaller steps tell nothing: their fixed costs dominate. */
const fewest = 8;
/** Weight of a new observation. */
const weight = 0.4;
/** A step may be slow because the machine was busy for a moment: of a rise so much is believed at once. */
const mostRise = 1.5;
/** What tiles cost is forgotten so fast while only small pieces are seen: else what was once too slow is never tried again. */
const forgetting = 0.05;

/** A piece of one prompt: its tokens, and how many were evaluated before. */
export interface Piece {
  readonly count: number;
  readonly evaluated: number;
}

export class PromptCosts {
  /** Seconds of a token that looks back at nothing. */
  #token: number;
  /** Seconds of a token for each one before it, in small pieces and in tiles. */
  readonly #back: { small: number | undefined; tiled: number | undefined };
  #observed = false;

  /** @param tokensPerSecond a first guess */
  constructor(tokensPerSecond: number) {
    this.#token = 1 / tokensPerSecond;
    this.#back = { small: undefined, tiled: undefined };
  }

  /** Tokens a second of short prompts. */
  get speed(): number {
    return 1 / this.#token;
  }

  /** What a piece takes, seconds. */
  seconds(count: number, evaluated: number): number {
    return count * this.#token + lookedBack({ count, evaluated }) * this.#backOf(count);
  }

  /** Whether what such a piece takes was seen, not guessed. */
  knows({ count, evaluated }: Piece): boolean {
    return this.#observed && (evaluated < shortHistory || this.#back[kindOf(count)] !== undefined);
  }

  /**
   * Tokens of a prompt's next piece.
   *
   * @param left tokens that are not evaluated
   * @param seconds how long it may take
   * @param longest nothing else is in the step: at least a small piece, and a tile of so many seconds
   *   when that is much faster
   */
  piece(left: number, evaluated: number, seconds: number, longest?: number): number {
    if (this.seconds(left, evaluated) <= seconds) return left;
    const fits = Math.floor(seconds / (this.seconds(fewest, evaluated) / fewest));
    // The odd tokens go with the first tile, or alone while there is little to look back at.
    const odd = left % tile;
    const tiles = this.#tiles(left, evaluated, seconds);
    if (tiles > 0) return odd + tiles * tile;
    if (longest === undefined)
      return left < tile || evaluated < shortHistory ? Math.max(0, fits) : 0;
    const small = Math.min(left, tile - 1, Math.max(fewest, fits));
    if (!this.#worthTile(left, small, evaluated, longest)) {
      return odd > 0 && odd <= small && evaluated < tile ? odd : small;
    }
    if (this.seconds(odd + tile, evaluated) <= longest) return odd + tile;
    return Math.min(odd, small);
  }

  /** Notes what a step of such pieces took. */
  observe(pieces: readonly Piece[], seconds: number): void {
    const tokens = pieces.reduce((sum, { count }) => sum + count, 0);
    const back = pieces.reduce((sum, piece) => sum + lookedBack(piece), 0);
    if (tokens < fewest || seconds <= 0) return;
    if (back / tokens < shortHistory) {
      const attention = pieces.reduce((sum, p) => sum + lookedBack(p) * this.#backOf(p.count), 0);
      this.#learnToken(Math.max(0.25 * seconds, seconds - attention) / tokens);
      return;
    }
    // A token by itself cannot take longer than with all that it looks back at.
    if (seconds / tokens < this.#token) this.#learnToken(seconds / tokens);
    const kinds = new Set(pieces.map(({ count }) => kindOf(count)));
    const [kind] = kinds;
    if (kind === undefined || kinds.size > 1) return;
    const found = Math.max(0, seconds - tokens * this.#token) / back;
    const known = this.#back[kind];
    this.#back[kind] = known === undefined ? found : learn(known, found, this.#token / 4000);
    if (kind === "small") this.#forgetTiles();
  }

  #forgetTiles(): void {
    const { small = 0, tiled } = this.#back;
    if (tiled === undefined || tiled <= small / 3) return;
    this.#back.tiled = tiled + forgetting * (small / 3 - tiled);
  }

  #learnToken(found: number): void {
    this.#token = this.#observed ? learn(this.#token, found) : found;
    this.#observed = true;
  }

  /** What is not known yet is guessed from the other kind, so that it is tried. */
  #backOf(count: number): number {
    const { small, tiled } = this.#back;
    return kindOf(count) === "tiled" ? (tiled ?? (small ?? 0) / 3) : (small ?? (tiled ?? 0) * 3);
  }

  /** Most tiles that the odd tokens can go with. */
  #tiles(left: number, evaluated: number, seconds: number): number {
    let tiles = Math.floor(left / tile);
    const odd = left % tile;
    const rough = Math.ceil(seconds / this.#token / tile); // looking back takes time too
    tiles = Math.min(tiles, rough);
    while (tiles > 0 && this.seconds(odd + tiles * tile, evaluated) > seconds) tiles--;
    return tiles;
  }

  #worthTile(left: number, small: number, evaluated: number, longest: number): boolean {
    if (left < tile) return false;
    const long = this.seconds(tile, evaluated);
    const rate = small / this.seconds(small, evaluated);
    return long <= longest && tile / long >= muchFaster * rate;
  }
}

/** @param least a rise by this is always believed */
function learn(known: number, found: number, least = 0): number {
  return known + weight * (Math.min(found, known * mostRise + least) - known);
}

const kindOf = (count: number) => (count >= tile ? "tiled" : "small");

/** How many tokens those of a piece look back at, summed. */
function lookedBack({ count, evaluated }: Piece): number {
  return count * (evaluated + count / 2);
}

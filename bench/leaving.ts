/** Clients that leave at random moments: before their answer begins, in the prompt, in mid-stream. */

export interface Leaving {
  /** Clients that left before their answer was whole. */
  readonly left: number;
  /** Clients whose answer was whole, or an error, before they could leave. */
  readonly ended: number;
}

/** Numbers in [0, 1), the same for the same seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** One client: waits for as many chunks as told, then leaves; with none it leaves after milliseconds. */
async function visit(url: string, body: unknown, chunks: number, ms: number): Promise<boolean> {
  const leaving = new AbortController();
  const timer = chunks === 0 ? setTimeout(() => leaving.abort(), ms) : undefined;
  try {
    const answer = await fetch(`${url}/api/generate`, {
      method: "POST",
      body: JSON.stringify(body),
      signal: leaving.signal,
    });
    let seen = 0;
    for await (const _chunk of answer.body ?? []) {
      if (chunks > 0 && ++seen >= chunks) leaving.abort();
    }
    return leaving.signal.aborted;
  } catch (error) {
    if (leaving.signal.aborted) return true;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Sends clients to `POST /api/generate`, a number of them at once, each leaving at a moment of its own. */
export async function leaveAtRandom(
  url: string,
  body: Readonly<Record<string, unknown>>,
  options: { readonly clients: number; readonly atOnce: number; readonly seed?: number },
): Promise<Leaving> {
  const random = randomNumbers(options.seed ?? 1);
  const prompt = String(body.prompt ?? "");
  let next = 0;
  let left = 0;
  let ended = 0;
  const worker = async (): Promise<void> => {
    while (next < options.clients) {
      next++;
      // Half leave while they wait or while their prompt is read, half in the middle of the stream.
      const chunks = random() < 0.5 ? 0 : 1 + Math.floor(random() * 30);
      const long = { ...body, prompt: prompt.repeat(1 + Math.floor(random() * 40)) };
      if (await visit(url, long, chunks, random() * 200)) left++;
      else ended++;
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, worker));
  return { left, ended };
}

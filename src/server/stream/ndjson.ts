/**
 * NDJSON answers (api.md 1.4). The first line is awaited before the status is sent, so that errors
 * before it keep theirs; an error after it becomes one more line. The reader sets the pace: a line is
 * asked for when there is room for it, so that a slow reader costs no memory. If the reader leaves,
 * the lines' generator is ended.
 */
import { isAbortError } from "../../errors.ts";

export interface NdjsonOptions {
  /** What an error in mid-stream comes from, which may be known better. */
  readonly reason: (error: unknown) => unknown;
  /** A line for an error in mid-stream, without the newline. */
  readonly errorLine: (error: unknown) => string;
  /** Called when the reader has left before the end. */
  readonly onLeave: () => void;
  /** Called when no line follows the last one, and after `onLeave`; not when there was no first one. */
  readonly onEnd: () => void;
}

const encoder = new TextEncoder();
const headers = { "content-type": "application/x-ndjson" };

/** Lets Bun send what it has: a body that is whole at once would go out with a length, not in chunks. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * @param lines complete JSON texts, without newline
 * @throws what the generator throws before its first line
 */
export async function ndjson(
  lines: AsyncGenerator<string>,
  { reason, errorLine, onLeave, onEnd }: NdjsonOptions,
): Promise<Response> {
  let first: IteratorResult<string> | undefined = await lines.next();
  // Before the first line and before the second: measured, one turn is not enough for Bun.
  let turns = 2;
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          if (turns-- > 0) await nextTurn();
          const next = first ?? (await lines.next());
          first = undefined;
          if (!next.done) {
            controller.enqueue(encoder.encode(`${next.value}\n`));
            return;
          }
        } catch (thrown) {
          const error = reason(thrown);
          if (!isAbortError(error)) controller.enqueue(encoder.encode(`${errorLine(error)}\n`));
        }
        controller.close();
        onEnd();
      },
      async cancel() {
        onLeave();
        try {
          await lines.return(undefined);
        } finally {
          onEnd();
        }
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers });
}

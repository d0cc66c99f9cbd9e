/**
 * NDJSON answers (api.md 1.4). The first line is awaited before the status is sent, so that errors
 * before it keep theirs; an error after it becomes one more line. The reader sets the pace: a line is
 * asked for when there is room for it. If the reader leaves, the lines' generator is ended.
 */
import { isAbortError } from "../../errors.ts";

export interface NdjsonOptions {
  /** A line for an error in mid-stream, without the newline. */
  readonly errorLine: (error: unknown) => string;
  /** Called when the reader has left before the end. */
  readonly onLeave: () => void;
}

const encoder = new TextEncoder();
const headers = { "content-type": "application/x-ndjson" };

/**
 * @param lines complete JSON texts, without newline
 * @throws what the generator throws before its first line
 */
export async function ndjson(
  lines: AsyncGenerator<string>,
  { errorLine, onLeave }: NdjsonOptions,
): Promise<Response> {
  const first = await lines.next();
  let pending: IteratorResult<string> | undefined = first;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const next = pending ?? (await lines.next());
        pending = undefined;
        // A body that is whole at once would be sent with a length instead of in chunks.
        if (next === first) await Bun.sleep(0);
        if (next.done) controller.close();
        else controller.enqueue(encoder.encode(`${next.value}\n`));
      } catch (error) {
        if (!isAbortError(error)) controller.enqueue(encoder.encode(`${errorLine(error)}\n`));
        controller.close();
      }
    },
    async cancel() {
      onLeave();
      await lines.return(undefined);
    },
  });
  return new Response(body, { headers });
}

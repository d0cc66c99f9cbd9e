/** What is kept of a child's stderr, also when it cannot be read to its end. */
import { expect, test } from "bun:test";
import { StderrTail } from "../../../src/engine/stderr-tail.ts";

/** A pipe with some chunks, that closes or fails after the last. */
function pipe(chunks: readonly Uint8Array<ArrayBuffer>[], error?: Error) {
  const left = [...chunks];
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      const chunk = left.shift();
      if (chunk !== undefined) controller.enqueue(chunk);
      else if (error !== undefined) controller.error(error);
      else controller.close();
    },
  });
}

const bytes = (text: string) => new TextEncoder().encode(text);

test("the end is kept, with characters that come in pieces", async () => {
  const letter = bytes("é");
  const tail = new StderrTail(pipe([bytes("a".repeat(9000)), letter.slice(0, 1), letter.slice(1)]));
  await tail.whole;
  expect(tail.text).toBe(`${"a".repeat(8191)}é`);
});

test("a pipe that fails has said what was read before, and nobody waits for more", async () => {
  const tail = new StderrTail(pipe([bytes("GGML_ASSERT(a) failed\n")], new Error("read error")));
  await tail.whole;
  expect(tail.text).toBe("GGML_ASSERT(a) failed\n");
});

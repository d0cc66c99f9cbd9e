/** Long renderings step aside: others are served while a long history becomes a prompt. */
import { expect, test } from "bun:test";
import type { Conversation } from "../../../src/chat/messages.ts";
import { renderGo, renderGoInTurns } from "../../../src/chat/render-go.ts";
import { inTurns } from "../../../src/chat/turns.ts";

/** Counts how often the event loop comes round while something runs. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let over = false;
  const count = () => {
    turns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  try {
    await work;
  } finally {
    over = true;
  }
  return turns;
}

test("work that pauses lets others run when its turn is over", async () => {
  const work = function* (): Generator<undefined, string> {
    for (let pause = 0; pause < 4; pause++) {
      const since = performance.now();
      while (performance.now() - since < 10);
      yield;
    }
    return "done";
  };
  const running = inTurns(work());
  expect(await turnsDuring(running)).toBeGreaterThanOrEqual(3);
  expect(await running).toBe("done");
});

test("a long history is rendered in turns, to the same text", async () => {
  const conversation: Conversation = {
    messages: Array.from({ length: 4_000 }, (_, i) => ({
      role: i % 2 === 0 ? "user" : "assistant",
      content: `message ${i} `.repeat(8),
    })),
    tools: [],
    think: undefined,
  };
  const template =
    "{{ range $i, $m := .Messages }}{{ if eq (len (slice $.Messages $i)) 1 }}last {{ end }}<{{ .Role }}>{{ .Content }}{{ end }}";
  const rendering = renderGoInTurns(template, conversation);
  expect(await turnsDuring(rendering)).toBeGreaterThanOrEqual(2);
  expect(await rendering).toBe(renderGo(template, conversation));
});

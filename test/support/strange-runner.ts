/**
 * A runner that misbehaves as its argument says, for tests of the parent: `silent` loads and never
 * answers, `garbage` answers what is no message, `deaf` never says that it is ready, `exit` ends.
 */
import { type Command, decodeMessage } from "../../src/engine/protocol.ts";

const how = process.argv[2];
const info = {
  contextLength: 256,
  trainedContextLength: 256,
  slots: 1,
  vocabularySize: 10,
  addsBos: false,
  embeddingLength: 4,
  canShift: true,
  memory: { total: 1, gpu: 0 },
};

process.on("disconnect", () => process.exit(0));
process.on("message", (carried: unknown) => {
  const message = decodeMessage(carried) as Command;
  if (message.type === "load") {
    if (how !== "deaf") process.send?.({ type: "ready", info });
  } else if (how === "exit") process.exit(7);
  else if (how === "garbage") {
    for (const wrong of ["text", 7, { type: "unknown" }, { type: "events" }, null]) {
      process.send?.(wrong);
    }
    process.send?.({
      type: "events",
      events: [
        ["id" in message ? message.id : 0, { type: "text", text: 5 }],
        [999, {}],
      ],
    });
  }
});

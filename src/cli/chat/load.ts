/** Loads the model of a chat before the first message: what cannot work fails early (cli.md 7). */
import { type RunSettings, settingsBody } from "../answer.ts";
import type { Client } from "../client.ts";
import type { Context } from "../context.ts";
import { Progress } from "../terminal/progress.ts";

/** @throws ServerError */
export async function loadModel(
  context: Context,
  client: Client,
  settings: RunSettings,
): Promise<void> {
  const progress = new Progress(context);
  progress.status("loading");
  try {
    const { format: _, ...body } = settingsBody(settings);
    for await (const _ of client.stream("/api/generate", { ...body, prompt: "" }));
  } finally {
    progress.clear();
  }
}

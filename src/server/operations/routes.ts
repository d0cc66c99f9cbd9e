/** `GET /healthz`, `GET /readyz`, `GET /metrics`: what those who run a server look at. */
import { Elysia } from "elysia";
import type { Metrics } from "./metrics.ts";

/** Whether the server takes new work. */
export interface Readiness {
  readonly draining: boolean;
}

function plain(text: string, status = 200): Response {
  const headers: Record<string, string> = { "content-type": "text/plain; charset=utf-8" };
  if (status === 503) headers["retry-after"] = "1";
  return new Response(text, { status, headers });
}

export const operationRoutes = (metrics: Metrics, readiness: Readiness) =>
  new Elysia({ name: "operations" })
    // Alive: the event loop answers.
    .get("/healthz", () => plain("ok\n"))
    .get("/readyz", () => (readiness.draining ? plain("draining\n", 503) : plain("ready\n")))
    .get(
      "/metrics",
      () =>
        new Response(metrics.page(), {
          headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
        }),
    );

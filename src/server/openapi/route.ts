/** `GET /openapi.json`. The document is made when somebody first asks, so that no start pays for it. */
import { Elysia } from "elysia";
import { version } from "../../version.ts";

let made: Promise<string> | undefined;

async function documentText(): Promise<string> {
  const { openApiDocument } = await import("./document.ts");
  return JSON.stringify(openApiDocument(version), null, 2);
}

export const openApiRoute = () =>
  new Elysia({ name: "openapi" }).get("/openapi.json", async () => {
    made ??= documentText();
    return new Response(await made, { headers: { "content-type": "application/json" } });
  });

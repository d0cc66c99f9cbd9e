/** Routes that need an account at ollama.com, which hutch never contacts (api.md 12). */
import { Elysia } from "elysia";
import { CloudDisabledError, InvalidRequestError } from "../../errors.ts";
import { respond } from "./streaming.ts";

function json(status: number, body: unknown): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json; charset=utf-8" },
  });
}

async function web(request: Request, what: string): Promise<never> {
  if ((await request.text()).trim() === "") throw new InvalidRequestError("missing request body");
  throw new CloudDisabledError(`ollama cloud is disabled: ${what} is unavailable`);
}

export const cloudRoutes = () =>
  new Elysia({ name: "cloud" })
    .post("/api/me", () => json(503, { error: "account unavailable" }), { parse: "none" })
    .post("/api/signout", () => json(401, { error: "you are not currently signed in" }), {
      parse: "none",
    })
    .delete("/api/user/keys/:key", () => json(401, { error: "you are not currently signed in" }), {
      parse: "none",
    })
    .post("/api/experimental/web_search", ({ request }) => web(request, "web search"), {
      parse: "none",
    })
    .post("/api/experimental/web_fetch", ({ request }) => web(request, "web fetch"), {
      parse: "none",
    })
    .get("/api/experimental/model-recommendations", () => respond('{"recommendations":[]}'));

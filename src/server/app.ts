/** The HTTP application: every route in one list, and what holds for all of them. */
import { Elysia } from "elysia";
import { errorMessage } from "../errors.ts";
import type { ServerDeps } from "./deps.ts";
import { chatRoute } from "./ollama/chat.ts";
import { cloudRoutes } from "./ollama/cloud.ts";
import { embedRoutes } from "./ollama/embed.ts";
import { errorResponse, isBug } from "./ollama/errors.ts";
import { generateRoute } from "./ollama/generate.ts";
import { listingRoutes } from "./ollama/listing.ts";
import { storeRoutes } from "./ollama/store-routes.ts";
import { type CorsPolicy, corsPolicy } from "./plugins/cors.ts";
import { checkHost } from "./plugins/hosts.ts";

/** Methods of every path, in the order of `Allow` (api.md 1.1). */
const methods: Readonly<Record<string, readonly string[]>> = {
  "/": ["HEAD", "GET"],
  "/api/version": ["HEAD", "GET"],
  "/api/tags": ["HEAD", "GET"],
  "/api/ps": ["GET"],
  "/api/status": ["GET"],
  "/api/show": ["POST"],
  "/api/generate": ["POST"],
  "/api/chat": ["POST"],
  "/api/embed": ["POST"],
  "/api/embeddings": ["POST"],
  "/api/create": ["POST"],
  "/api/pull": ["POST"],
  "/api/push": ["POST"],
  "/api/copy": ["POST"],
  "/api/delete": ["DELETE"],
  "/api/blobs/:digest": ["HEAD", "POST"],
  "/api/me": ["POST"],
  "/api/signout": ["POST"],
  "/api/user/keys/:key": ["DELETE"],
  "/api/experimental/web_search": ["POST"],
  "/api/experimental/web_fetch": ["POST"],
  "/api/experimental/model-recommendations": ["GET"],
};

/** A path without doubled and trailing slashes and dot parts; percent escapes stay (api.md 1.1). */
function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part.replace(/%([4-7][0-9a-fA-F])/g, decodeLetter));
  }
  return `/${parts.join("/")}`;
}

/** Percent escapes of letters mean the letters; others stay for the route to read. */
function decodeLetter(escaped: string, hex: string): string {
  const character = String.fromCharCode(Number.parseInt(hex, 16));
  return /[A-Za-z]/.test(character) ? character : escaped;
}

function methodsOf(path: string): readonly string[] | undefined {
  const known = methods[path];
  if (known !== undefined) return known;
  const pattern = path
    .replace(/^(\/api\/blobs)\/[^/]+$/, "$1/:digest")
    .replace(/^(\/api\/user\/keys)\/[^/]+$/, "$1/:key");
  return pattern === path ? undefined : methods[pattern];
}

function plainText(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(text, { status, headers: { "content-type": "text/plain", ...headers } });
}

/** Adds headers to an answer, whoever made it. */
function withHeaders(response: Response, headers: Readonly<Record<string, string>>): Response {
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}

export interface App {
  /** Answers a request. Never rejects. */
  handle(request: Request): Promise<Response>;
}

export interface AppOptions {
  /** Whether foreign host names are refused: when listening on a loopback address. */
  readonly guardHosts: boolean;
}

/** Every route, grouped by dialect. */
function routes(deps: ServerDeps) {
  return new Elysia({ name: "hutch" })
    .onError(({ error, code }) => {
      // What a body parser throws arrives wrapped.
      const cause = code === "PARSE" && error instanceof Error ? (error.cause ?? error) : error;
      if (isBug(cause)) {
        deps.logger.error("request failed", {
          error: errorMessage(cause),
          stack: cause instanceof Error ? cause.stack : undefined,
        });
      }
      return errorResponse(cause);
    })
    .use(listingRoutes(deps))
    .use(generateRoute(deps))
    .use(chatRoute(deps))
    .use(embedRoutes(deps))
    .use(storeRoutes(deps))
    .use(cloudRoutes());
}

/** @throws ConfigError for unusable origins */
export function createApp(deps: ServerDeps, options: AppOptions): App {
  const cors: CorsPolicy = corsPolicy(deps.config.origins);
  const app = routes(deps);

  const route = async (request: Request, path: string, url: URL): Promise<Response> => {
    const allowed = methodsOf(path);
    if (allowed === undefined) return plainText(404, "404 page not found");
    if (!allowed.includes(request.method)) {
      return plainText(405, "405 method not allowed", { allow: allowed.join(", ") });
    }
    // Elysia looks for the path behind the eleventh character of the URL, wherever it begins.
    if (path === url.pathname && url.host.length >= 4) return app.handle(request);
    return app.handle(new Request(`http://localhost${path}`, request));
  };

  return {
    async handle(request) {
      const url = new URL(request.url);
      const path = cleanPath(url.pathname);
      const optionsHeaders =
        request.method === "OPTIONS" ? { allow: (methodsOf(path) ?? []).join(", ") } : undefined;
      const known = optionsHeaders?.allow ? optionsHeaders : {};
      const refused = cors.check(request);
      if (refused !== undefined) return withHeaders(refused, known);
      const headers = cors.headers(request);
      const guarded = options.guardHosts ? checkHost(request) : undefined;
      if (guarded !== undefined) return withHeaders(guarded, { ...headers, ...known });
      const response = await route(request, path, url);
      return Object.keys(headers).length > 0 ? withHeaders(response, headers) : response;
    },
  };
}

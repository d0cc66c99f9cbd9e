/** The HTTP application: every route in one list, and what holds for all of them. */
import { Elysia } from "elysia";
import { DrainingError, errorMessage } from "../errors.ts";
import type { ServerDeps } from "./deps.ts";
import { blobRoutes } from "./ollama/blobs.ts";
import { chatRoute } from "./ollama/chat.ts";
import { cloudRoutes } from "./ollama/cloud.ts";
import { copyRoute } from "./ollama/copy.ts";
import { createRoute } from "./ollama/create.ts";
import { deleteRoute } from "./ollama/delete.ts";
import { embedRoutes } from "./ollama/embed.ts";
import { errorResponse, isBug } from "./ollama/errors.ts";
import { generateRoute } from "./ollama/generate.ts";
import { listingRoutes } from "./ollama/listing.ts";
import { showRoute } from "./ollama/show.ts";
import { transferRoutes } from "./ollama/transfer.ts";
import { uploadRoutes } from "./ollama/uploads.ts";
import { plannedRoutes } from "./openai/planned.ts";
import { openApiRoute } from "./openapi/route.ts";
import { createRequestLog } from "./operations/records.ts";
import { operationRoutes, type Readiness } from "./operations/routes.ts";
import { corsPolicy } from "./plugins/cors.ts";
import { checkHost } from "./plugins/hosts.ts";
import { cleanPath, type KnownPath, methodTable, refusePath } from "./plugins/paths.ts";

export interface App {
  /** Method and path of every route. */
  readonly routes: readonly { readonly method: string; readonly path: string }[];
  /** Answers a request from a client at an address. Never rejects. */
  handle(request: Request, address?: string): Promise<Response>;
  /** From now on new work is refused; what runs goes on. */
  drain(): void;
}

export interface AppOptions {
  /** Whether foreign host names are refused: when listening on a loopback address. */
  readonly guardHosts: boolean;
}

/** Every route, grouped by dialect. */
function routes(deps: ServerDeps, readiness: Readiness) {
  return (
    new Elysia({ name: "hutch", normalize: false })
      .onError(({ error }) => ollamaError(deps, error))
      // GET /healthz /readyz /metrics
      .use(operationRoutes(deps.metrics, readiness))
      // GET /openapi.json
      .use(openApiRoute())
      // GET|HEAD / /api/version /api/tags, GET /api/ps /api/status
      .use(listingRoutes(deps))
      // POST /api/generate /api/chat /api/embed /api/embeddings
      .use(generateRoute(deps))
      .use(chatRoute(deps))
      .use(embedRoutes(deps))
      // POST /api/show /api/create /api/copy, DELETE /api/delete, HEAD|POST /api/blobs/:digest
      .use(showRoute(deps))
      .use(createRoute(deps))
      .use(copyRoute(deps))
      .use(deleteRoute(deps))
      .use(blobRoutes(deps))
      // HEAD|PATCH /api/hutch/uploads/:digest
      .use(uploadRoutes(deps))
      // POST /api/pull /api/push
      .use(transferRoutes(deps))
      // POST /api/me /api/signout, DELETE /api/user/keys/:key, /api/experimental/…
      .use(cloudRoutes())
      // /v1/…
      .use(plannedRoutes())
  );
}

/** What any route throws, as Ollama's API says it; bugs are logged with their stack. */
function ollamaError(deps: ServerDeps, error: unknown): Response {
  if (isBug(error)) {
    deps.logger.error("request failed", {
      error: errorMessage(error),
      stack: error instanceof Error ? error.stack : undefined,
    });
  }
  return errorResponse(error);
}

/** Whether a request is work, rather than a look at what there is. */
function changes({ method }: Request): boolean {
  return method !== "GET" && method !== "HEAD" && method !== "OPTIONS";
}

/** Where a request goes, as its URL says. */
interface Place {
  readonly text: string;
  /** Without doubled slashes and the like. */
  readonly path: string;
  readonly known: KnownPath | undefined;
  /** Elysia finds the path in the URL as it is: it looks behind the eleventh character, wherever the path begins. */
  readonly plain: boolean;
}

function placeOf(text: string, methodsOf: (path: string) => KnownPath | undefined): Place {
  // A request without a host has only a path for its URL; the Host header may be what no URL can have.
  const whole = URL.parse(text, "http://localhost");
  const url = whole ?? new URL(text.replace(/^(\w+:)?\/\/[^/?#]*/, "http://localhost"));
  const path = cleanPath(url.pathname);
  const plain = path === whole?.pathname && url.host.length >= 4 && text.startsWith("http");
  return { text, path, known: methodsOf(path), plain };
}

/** Adds headers to an answer, whoever made it. */
function withHeaders(response: Response, headers: Readonly<Record<string, string>>): Response {
  for (const name in headers) response.headers.set(name, headers[name] ?? "");
  return response;
}

/** @throws ConfigError for unusable origins */
export function createApp(deps: ServerDeps, options: AppOptions): App {
  const cors = corsPolicy(deps.config.origins);
  const readiness = { draining: false };
  const elysia = routes(deps, readiness);
  const requests = createRequestLog(deps.logger, deps.metrics);
  const known = elysia.routes.map(({ method, path }) => ({ method, path }));
  const methodsOf = methodTable(known);

  const route = async (request: Request, { path, known, plain }: Place): Promise<Response> => {
    const refused = refusePath(request.method, known?.methods);
    if (refused !== undefined) return refused;
    if (readiness.draining && changes(request)) return errorResponse(new DrainingError());
    if (plain) return elysia.handle(request);
    const other = new Request(`http://localhost${path}`, request);
    requests.alias(request, other);
    return elysia.handle(other);
  };

  const guard = (request: Request): { refused?: Response; headers: Record<string, string> } => {
    const refused = cors.check(request);
    if (refused !== undefined) return { refused, headers: {} };
    const headers = cors.headers(request);
    const guarded = options.guardHosts ? checkHost(request) : undefined;
    return guarded === undefined ? { headers } : { refused: guarded, headers };
  };
  // Most requests go where the last one went.
  let last = placeOf("/", methodsOf);

  return {
    routes: known,
    async handle(request, address = "local") {
      if (request.url !== last.text) last = placeOf(request.url, methodsOf);
      const place = last;
      const { known } = place;
      const record = requests.begin(request, known?.pattern ?? "unknown", address);
      const { refused, headers } = guard(request);
      if (request.method === "OPTIONS" && known !== undefined) {
        headers.allow = known.methods.join(", ");
      }
      headers["x-request-id"] = record.id;
      const response = withHeaders(refused ?? (await route(request, place)), headers);
      requests.answered(request, response.status);
      return response;
    },
    drain() {
      readiness.draining = true;
    },
  };
}

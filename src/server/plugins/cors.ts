/** Which web pages may talk to the server (api.md 1.5, env.md 5). */
import { ConfigError } from "../../errors.ts";

const schemes = [
  "http://",
  "https://",
  "chrome-extension://",
  "safari-extension://",
  "moz-extension://",
  "ms-browser-extension://",
];

const defaults = [
  ...["localhost", "127.0.0.1", "0.0.0.0"].flatMap((host) => [
    `http://${host}`,
    `https://${host}`,
    `http://${host}:*`,
    `https://${host}:*`,
  ]),
  "app://*",
  "file://*",
  "tauri://*",
  "vscode-webview://*",
  "vscode-file://*",
];

const allowedHeaders = [
  "Authorization",
  "Content-Type",
  "User-Agent",
  "Accept",
  "X-Requested-With",
  "Openai-Beta",
  ...[
    "Arch",
    "Async",
    "Custom-Poll-Interval",
    "Helper-Method",
    "Lang",
    "Os",
    "Package-Version",
    "Poll-Helper",
    "Retry-Count",
    "Runtime",
    "Runtime-Version",
    "Timeout",
  ].map((name) => `X-Stainless-${name}`),
].join(",");

export interface CorsPolicy {
  /** A refusal or preflight answer, or undefined when the request goes on. */
  check(request: Request): Response | undefined;
  /** Headers that the answer of an allowed cross-origin request carries. */
  headers(request: Request): Record<string, string>;
}

/** @throws ConfigError for an origin that can match nothing */
export function corsPolicy(origins: readonly string[]): CorsPolicy {
  for (const origin of origins) {
    if (origin.split("*").length > 2) throw new ConfigError("only one * is allowed");
    if (!origin.includes("*") && !schemes.some((scheme) => origin.startsWith(scheme))) {
      throw new ConfigError(`bad origin: origins must contain '*' or include ${schemes.join(",")}`);
    }
  }
  const all = origins.includes("*");
  const rules = [...origins, ...defaults].map((rule) => {
    const star = rule.indexOf("*");
    if (star < 0) return (origin: string) => origin === rule.toLowerCase();
    const [before, after] = [rule.slice(0, star), rule.slice(star + 1)];
    return (origin: string) =>
      origin.length >= before.length + after.length &&
      origin.startsWith(before) &&
      origin.endsWith(after);
  });
  const foreign = (request: Request): string | undefined => {
    const origin = request.headers.get("origin");
    if (origin === null || origin === "") return undefined;
    const host = request.headers.get("host") ?? "";
    return origin === `http://${host}` || origin === `https://${host}` ? undefined : origin;
  };
  const allowed = (origin: string) => all || rules.some((matches) => matches(origin));
  const headers = (request: Request): Record<string, string> => {
    const origin = foreign(request);
    if (origin === undefined || !allowed(origin)) return {};
    if (all) return { "access-control-allow-origin": "*" };
    return { "access-control-allow-origin": origin, vary: "Origin" };
  };
  return {
    headers,
    check(request) {
      const origin = foreign(request);
      if (origin === undefined) return undefined;
      if (!allowed(origin)) return new Response(null, { status: 403 });
      if (request.method !== "OPTIONS") return undefined;
      const vary = "Access-Control-Request-Method, Access-Control-Request-Headers";
      return new Response(null, {
        status: 204,
        headers: {
          "access-control-allow-methods": "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS",
          "access-control-allow-headers": allowedHeaders,
          "access-control-max-age": "43200",
          ...headers(request),
          ...(all ? {} : { vary: `Origin, ${vary}` }),
        },
      });
    },
  };
}

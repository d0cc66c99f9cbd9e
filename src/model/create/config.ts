/** The configuration of a new model (create.md 8). */
import { InvalidRequestError } from "../../errors.ts";
import type { ModelConfig } from "../manifest.ts";
import type { CreateRequest } from "./request.ts";

/** Renderer and parser of architectures whose turns no template of theirs can express. */
const builtIn: Readonly<Record<string, { readonly renderer: string; readonly parser: string }>> = {
  gemma4: { renderer: "gemma4", parser: "gemma4" },
  laguna: { renderer: "laguna", parser: "laguna" },
};
const nemotron = { renderer: "nemotron-3-nano", parser: "nemotron-3-nano" };

/** Texts that end an answer, for architectures with a built-in renderer. */
export function stopTexts(architecture: string): readonly string[] | undefined {
  return architecture === "gemma4" ? ["<turn|>"] : undefined;
}

function builtInFor(config: ModelConfig, request: CreateRequest) {
  const { renderer, parser } = { ...config, ...request };
  if (renderer && parser) return {};
  const family = config.model_family;
  return family.startsWith("nemotron_h") ? nemotron : (builtIn[family] ?? {});
}

/** With what the request says of itself (`info`, renderer, parser, requires, another host). */
export function finalConfig(config: ModelConfig, request: CreateRequest): ModelConfig {
  const { info = {} } = request;
  const { capabilities } = info;
  const text = (field: string, otherwise: string) =>
    info[field] ? String(info[field]) : otherwise;
  const family = text("model_family", config.model_family);
  return {
    ...config,
    ...builtInFor(config, request),
    model_family: family,
    model_families: request.remoteHost && info.model_family ? [family] : config.model_families,
    model_type: text("parameter_size", config.model_type),
    file_type: text("quantization_level", config.file_type),
    ...(request.renderer ? { renderer: request.renderer } : {}),
    ...(request.parser ? { parser: request.parser } : {}),
    ...(request.requires ? { requires: request.requires } : {}),
    ...(request.remoteHost
      ? { remote_host: normalHost(request.remoteHost), remote_model: request.from ?? "" }
      : {}),
    ...(info.base_name ? { base_name: String(info.base_name) } : {}),
    ...(info.context_length ? { context_length: Number(info.context_length) } : {}),
    ...(info.embedding_length ? { embedding_length: Number(info.embedding_length) } : {}),
    ...(Array.isArray(capabilities) ? { capabilities: capabilities.map(String) } : {}),
  };
}

/** With scheme and port (create.md 3). @throws InvalidRequestError */
function normalHost(host: string): string {
  const [, scheme = "http", rest = ""] = /^(?:([a-z]+):\/\/)?(.+)$/.exec(host.trim()) ?? [];
  let url: URL;
  try {
    url = new URL(`${scheme}://${rest}`);
  } catch (cause) {
    throw new InvalidRequestError("bad remote", { cause });
  }
  if (url.hostname === "ollama.com") return "https://ollama.com:443";
  // URL drops the usual port of a scheme, which is not the usual one of this protocol.
  const port = /:(\d+)$/.exec(rest.split("/")[0] ?? "")?.[1] ?? "11434";
  return `${scheme}://${url.hostname}:${port}${url.pathname.replace(/\/$/, "")}`;
}

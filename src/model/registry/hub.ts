/**
 * Models that a hub keeps as shards. Hugging Face answers `/v2/` for a sharded GGUF with 400; its files
 * are listed and fetched by its own API instead (registry.md 9), and made into a model here, as files
 * that a user sends are.
 */
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { isAbortError, RegistryError } from "../../errors.ts";
import { parseShardName } from "../name.ts";
import { isCommit } from "../origins.ts";
import { readBody } from "./exchange.ts";
import type { RemoteBlob } from "./remote-manifest.ts";
import type { RegistrySession } from "./session.ts";

const TreeShape = t.Array(
  t.Object({
    type: t.String(),
    path: t.String(),
    lfs: t.Optional(
      t.Object({
        oid: t.String({ pattern: "^[0-9a-f]{64}$" }),
        size: t.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
      }),
    ),
  }),
);
export type HubTree = Static<typeof TreeShape>;

/** A shard: a blob, and the name of its file. */
export interface HubShard extends RemoteBlob {
  readonly file: string;
}

export interface HubShards {
  readonly shards: readonly HubShard[];
  /** Of the repository, where the hub tells it with its list. */
  readonly commit?: string;
}

/** What a tag without a quantisation means, where there is one. */
const usualQuantisation = "Q4_K_M";

/** Whether a registry refused a manifest because the model is kept in shards. */
export function refusesShards(error: unknown): boolean {
  return error instanceof RegistryError && error.status === 400 && /shard/i.test(error.message);
}

/** Whether a quantisation stands in a file's path as a word of its own. */
function names(path: string, quantisation: string): boolean {
  const word = quantisation.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`(^|[/._-])${word}([/._-]|$)`, "i").test(path);
}

/**
 * The shards that a tag means: those whose path names it as their quantisation, or one of the files
 * themselves; `latest` means Q4_K_M, else the first set by name.
 * @param resolve path of a file's content on the hub
 * @throws RegistryError when there are none, or some are missing
 */
export function chooseShards(
  tree: HubTree,
  tag: string,
  resolve: (path: string) => string,
): HubShard[] {
  const sets = new Map<string, { count: number; files: Map<number, HubTree[number]> }>();
  for (const entry of tree) {
    const shard = entry.type === "file" ? parseShardName(entry.path) : undefined;
    if (shard === undefined) continue;
    const key = entry.path.replace(/\d{5}(-of-\d{5}\.gguf)$/, "$1");
    const set = sets.get(key) ?? { count: shard.count, files: new Map() };
    set.files.set(shard.index, entry);
    sets.set(key, set);
  }
  const keys = [...sets.keys()].sort();
  const latest = tag.toLowerCase() === "latest";
  const key =
    keys.find((each) => names(each, latest ? usualQuantisation : tag)) ??
    [...sets].find(([, { files }]) =>
      [...files.values()].some(({ path }) => path.split("/").at(-1) === tag),
    )?.[0] ??
    (latest ? keys[0] : undefined);
  const set = key === undefined ? undefined : sets.get(key);
  if (set === undefined) throw new RegistryError(`the repository has no shards for "${tag}"`);
  return Array.from({ length: set.count }, (_, index) => {
    const entry = set.files.get(index);
    if (entry?.lfs === undefined) {
      throw new RegistryError(
        `the repository lacks shard ${index + 1} of ${set.count} of "${tag}"`,
      );
    }
    const { oid, size } = entry.lfs;
    const file = entry.path.split("/").at(-1) ?? "";
    return { digest: `sha256:${oid}`, size, path: resolve(entry.path), file };
  });
}

/** Hosts of Hugging Face's hub, whose repositories have commits. */
const hubHosts: ReadonlySet<string> = new Set(["hf.co", "huggingface.co"]);

/** Whether a registry's host can be asked for commits. */
export function isHub(host: string): boolean {
  return hubHosts.has(host.toLowerCase());
}

const RevisionShape = t.Object({ sha: t.String() });

/**
 * The commit that a hub's repository has now; undefined when it does not tell. It is asked for where the
 * answer with the manifest has none, so that a pull never fails for it.
 */
export async function currentCommit(
  session: RegistrySession,
  signal: AbortSignal,
): Promise<string | undefined> {
  const url = `/api/models/${session.repository}/revision/main`;
  try {
    const response = await session.fetch({ method: "GET", url, signal });
    const limits = { limit: 8 * 2 ** 20, stallMs: session.http.stallMs };
    const bytes = await readBody(response, { ...limits, what: "the revision", signal });
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return Value.Check(RevisionShape, json) && isCommit(json.sha) ? json.sha : undefined;
  } catch (error) {
    if (isAbortError(error)) throw error;
    return undefined;
  }
}

/** Asks a hub for its files and chooses. @throws RegistryError */
export async function findShards(
  session: RegistrySession,
  tag: string,
  signal: AbortSignal,
): Promise<HubShards> {
  const url = `/api/models/${session.repository}/tree/main?recursive=true`;
  const response = await session.fetch({ method: "GET", url, signal });
  const limits = { limit: 8 * 2 ** 20, stallMs: session.http.stallMs };
  const bytes = await readBody(response, { ...limits, what: "the list of files", signal });
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new RegistryError("the list of files is not valid JSON", { cause });
  }
  if (!Value.Check(TreeShape, json)) {
    const first = Value.Errors(TreeShape, json).First();
    throw new RegistryError(`the list of files: ${first?.path || "/"}: ${first?.message}`);
  }
  const encode = (path: string) => path.split("/").map(encodeURIComponent).join("/");
  const resolve = (path: string) => `/${session.repository}/resolve/main/${encode(path)}`;
  const shards = chooseShards(json, tag, resolve);
  const commit = response.headers.get("x-repo-commit");
  return { shards, ...(isCommit(commit) ? { commit } : {}) };
}

/** `POST /api/pull` and `POST /api/push` (api.md 11). */
import { Elysia } from "elysia";
import { LockError, ModelNameError, ModelRequiredError, RegistryError } from "../../errors.ts";
import { type GuideAsset, installGuide, isGuide } from "../../model/guide.ts";
import {
  fullName,
  isValidName,
  type ModelName,
  parseName,
  pullForm,
  splitReference,
} from "../../model/name.ts";
import { pullModel, type TransferStatus } from "../../model/registry/pull.ts";
import { pushModel } from "../../model/registry/push.ts";
import type { Store } from "../../model/store.ts";
import type { FakeModels, ServerDeps } from "../deps.ts";
import { makerOf } from "./create-tools.ts";
import { goBody } from "./go-body.ts";
import { TransferBody } from "./schemas.ts";
import { progressAnswer } from "./streaming.ts";

function pull(deps: ServerDeps, body: TransferBody, request: Request): Promise<Response> {
  const raw = (body.model || body.name || "").trim();
  if (raw === "") throw new ModelNameError("invalid model name");
  const name = parseName(pullForm(splitReference(raw)));
  if (!isValidName(name)) throw new ModelNameError("invalid model name");
  const { store, transfers, guide, fake } = deps;
  const insecure = body.insecure === true;
  if (fake !== undefined) return progressAnswer(() => provided(fake, name), body.stream, request);
  if (guide !== undefined && isGuide(name)) {
    return progressAnswer(() => pullGuide(store, guide, body.digest), body.stream, request);
  }
  const shards = body.shards === undefined ? {} : { shards: body.shards };
  const pinned = body.digest ? { pinned: { digest: body.digest, ...shards } } : {};
  return progressAnswer(
    (signal) =>
      pullModel({
        transfers,
        store,
        name,
        insecure,
        signal,
        ...pinned,
        create: makerOf(deps, name, signal),
      }),
    body.stream,
    request,
  );
}

/** A fake model is pulled from nowhere; what a registry would say of one that is not there stays. */
async function* provided(fake: FakeModels, name: ModelName): AsyncGenerator<TransferStatus> {
  yield { status: "pulling manifest" };
  if (!fake.provide(name)) throw new RegistryError("pull model manifest: file does not exist");
  yield { status: "verifying sha256 digest" };
  yield { status: "writing manifest" };
  yield { status: "success" };
}

/** The embedded model comes from the executable, whatever a registry has under its name. */
async function* pullGuide(
  store: Store,
  guide: GuideAsset,
  digest: string | undefined,
): AsyncGenerator<TransferStatus> {
  const name = parseName("guide");
  await installGuide(store, guide, { whole: true });
  const there = store.manifest(name)?.digest ?? "";
  if (digest && there !== digest) {
    const [has, locked] = [there.slice(0, 12), digest.slice(0, 12)];
    throw new LockError(`pull "guide:latest": this hutch has ${has}, locked is ${locked}`);
  }
  yield { status: "success" };
}

function push(deps: ServerDeps, body: TransferBody, request: Request): Promise<Response> {
  const raw = (body.model || body.name || "").trim();
  if (raw === "") throw new ModelRequiredError();
  const name = parseName(raw);
  const { store, transfers } = deps;
  const insecure = body.insecure === true;
  // A bad name is answered like a missing model, inside the stream (recorded).
  const unqualified = new RegistryError(`unqualified name: ${fullName(name)}`);
  return progressAnswer(
    (signal) =>
      isValidName(name)
        ? pushModel({ transfers, store, name, insecure, signal })
        : notRetrieved(unqualified),
    body.stream,
    request,
  );
}

async function* notRetrieved(error: Error): AsyncGenerator<TransferStatus> {
  yield { status: "retrieving manifest" };
  yield { status: "couldn't retrieve manifest" };
  throw error;
}

export const transferRoutes = (deps: ServerDeps) =>
  new Elysia({ name: "transfer" })
    .post(
      "/api/pull",
      ({ body, request }) => pull(deps, body, request),
      goBody("PullRequest", TransferBody),
    )
    .post(
      "/api/push",
      ({ body, request }) => push(deps, body, request),
      goBody("PushRequest", TransferBody),
    );

/** The draft model of a create request (`DRAFT`): files as for the model itself, another kind of layer. */
import { InvalidRequestError, StoreError } from "../../errors.ts";
import { mediaTypes } from "../media-types.ts";
import type { Store } from "../store.ts";
import { fromFiles } from "./from-files.ts";
import { factsOfLayer, modelLayer, type Parts } from "./parts.ts";
import { isPlain, quantizeModel } from "./quantize.ts";
import type { CreateProgress, CreateRequest, CreateTools } from "./request.ts";

/** Adds the draft model, in place of one that the base has. @throws InvalidRequestError, StoreError */
export async function* addDraft(
  store: Store,
  parts: Parts,
  request: Pick<CreateRequest, "draftFiles" | "draftQuantize" | "remoteHost">,
  tools: CreateTools,
): AsyncGenerator<CreateProgress> {
  const { draftFiles = {}, draftQuantize, remoteHost } = request;
  if (Object.keys(draftFiles).length === 0) return;
  if (remoteHost) throw new InvalidRequestError("DRAFT cannot be used with remote models");
  const draft = yield* fromFiles(store, draftFiles, tools);
  const source = modelLayer(draft);
  if (source === undefined) throw new InvalidRequestError("no draft model was found");
  const facts = factsOfLayer(store, source);
  if (draftQuantize && !isPlain(facts)) {
    throw new StoreError(
      `draft quantization requires an unquantized draft model, got ${facts.fileType}`,
    );
  }
  yield* quantizeModel(store, draft, draftQuantize, tools);
  const { digest, size, from } = modelLayer(draft) ?? source;
  for (const made of draft.created) parts.created.add(made);
  for (const made of draft.unverified) parts.unverified.add(made);
  parts.layers = [
    ...parts.layers.filter(({ mediaType }) => mediaType !== mediaTypes.draft),
    { mediaType: mediaTypes.draft, digest, size, ...(from === undefined ? {} : { from }) },
  ];
}

/** `POST /api/pull` and `POST /api/push` (api.md 11). */
import { Elysia } from "elysia";
import { ModelNameError, ModelRequiredError, StoreError, UnsupportedError } from "../../errors.ts";
import { fullName, isValidName, parseName } from "../../model/name.ts";
import { goBody } from "./go-body.ts";
import { TransferBody } from "./schemas.ts";

/** Pull and push: names are checked as they will be; the transfer itself is not part of this version. */
function transfer(action: "pull" | "push", body: TransferBody): Response {
  const raw = body.model || body.name || "";
  if (action === "push" && raw.trim() === "") throw new ModelRequiredError();
  if (raw.trim() === "") throw new ModelNameError("invalid model name");
  const name = parseName(raw.trim());
  if (!isValidName(name)) {
    if (action === "push") throw new StoreError(`unqualified name: ${fullName(name)}`);
    throw new ModelNameError("invalid model name");
  }
  throw new UnsupportedError(`${action}: this version cannot talk to registries yet`);
}

export const transferRoutes = () =>
  new Elysia({ name: "transfer" })
    .post("/api/pull", ({ body }) => transfer("pull", body), {
      parse: goBody("PullRequest", TransferBody),
      body: TransferBody,
    })
    .post("/api/push", ({ body }) => transfer("push", body), {
      parse: goBody("PushRequest", TransferBody),
      body: TransferBody,
    });

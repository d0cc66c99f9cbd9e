/** The store of this machine, for commands that work on it and never ask a server. */
import { guideAsset } from "../../ffi/assets.ts";
import { UsageError } from "../errors.ts";
import { silentLogger } from "../logger.ts";
import { installGuide, isGuide } from "../model/guide.ts";
import { isValidName, type ModelName, parseName } from "../model/name.ts";
import { Store } from "../model/store.ts";
import type { Context } from "./context.ts";

/** The name that an argument means. @throws UsageError */
export function nameArgument(text: string): ModelName {
  const name = parseName(text);
  if (!isValidName(name)) throw new UsageError(`"${text}" is no name of a model`);
  return name;
}

/** The store of this machine; these commands never ask a server. */
export function localStore({ config }: Context): Store {
  return new Store(config.modelsFolder, { noPrune: config.noPrune, logger: silentLogger });
}

/** The same, for commands that name models: the embedded one is there when it is named. */
export async function storeWith(context: Context, names: readonly string[]): Promise<Store> {
  const store = localStore(context);
  const guide = guideAsset();
  if (guide !== undefined && names.some((name) => isGuide(parseName(name)))) {
    await installGuide(store, guide);
  }
  return store;
}

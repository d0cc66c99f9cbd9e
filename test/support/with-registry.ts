/** An application and a registry of their own for every test of a file. */
import { afterEach, beforeEach } from "bun:test";
import { type Application, openApplication } from "./application.ts";
import { type FakeRegistry, startFakeRegistry } from "./fake-registry.ts";

export interface Scene {
  /** May be replaced by a test: whichever is there at its end is closed. */
  application: Application;
  readonly registry: FakeRegistry;
}

/**
 * Opens both before each test and closes them after it.
 * @param opened hears of each new scene; its promise is awaited
 */
export function withRegistry(
  env: Record<string, string>,
  opened: (scene: Scene) => void | Promise<void>,
): void {
  let scene: Scene | undefined;
  beforeEach(async () => {
    scene = { application: openApplication({ env }), registry: startFakeRegistry() };
    await opened(scene);
  });
  afterEach(async () => {
    await scene?.application[Symbol.asyncDispose]();
    await scene?.registry[Symbol.asyncDispose]();
  });
}

/**
 * Tells the service manager that started the server that it is ready (sd_notify(3)): what waits for the
 * service then waits for its listener. By systemd's own program, because Bun has no datagram sockets of
 * that kind.
 */
import { notifyEnvironment } from "../config/env.ts";
import { errorMessage } from "../errors.ts";
import type { Logger } from "../logger.ts";

/** Does nothing where no manager asked to be told. A message that cannot be sent is a warning. */
export async function tellReady(logger: Logger): Promise<void> {
  const env = notifyEnvironment();
  if (env === undefined) return;
  try {
    const notify = Bun.spawn(["systemd-notify", "READY=1"], {
      env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const said = await new Response(notify.stderr).text();
    if ((await notify.exited) !== 0) throw new Error(said.trim());
  } catch (error) {
    logger.warn(
      `the service manager was not told that the server is ready: ${errorMessage(error)}`,
    );
  }
}

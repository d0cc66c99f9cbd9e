/** llama-server of the same source on a free port, for comparisons. */
import { join } from "node:path";

export interface Peer extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** Stops it until `wake`: after a request its threads go on spinning for a while. */
  sleep(): void;
  wake(): void;
}

/** What programs to compare with are started with: ggml alone, without hutch's kernels. */
export const peerEnvironment = { ...process.env, HUTCH_KERNELS: "0" };

/** @param contextLength tokens of one slot */
export async function startPeer(
  folder: string,
  model: string,
  slots: number,
  options: { contextLength?: number; args?: readonly string[] } = {},
): Promise<Peer> {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  const context = (options.contextLength ?? 4096) * slots;
  const argv = ["-m", model, "--port", String(port), "-np", String(slots), "-c", String(context)];
  const child = Bun.spawn(
    [join(folder, "llama-server"), ...argv, "-t", "2", "--no-webui", ...(options.args ?? [])],
    {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
      env: peerEnvironment,
    },
  );
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`llama-server ended with ${child.exitCode}`);
    const answer = await fetch(`${url}/health`).catch(() => undefined);
    if (answer?.ok) break;
    await Bun.sleep(20);
  }
  return {
    url,
    pid: child.pid,
    sleep: () => child.kill("SIGSTOP"),
    wake: () => child.kill("SIGCONT"),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

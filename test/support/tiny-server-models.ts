/** Tiny models, made for tests, in a running server. */
import { type TestServer, uploadBlob } from "./executable.ts";

const turns = "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<assistant>";

interface Parts {
  /** Bytes of a GGUF. */
  readonly model: Uint8Array;
  readonly projector?: Uint8Array;
  readonly template?: string;
}

/** Creates a model from its parts. @throws Error with the server's words */
export async function createTinyModel(
  server: TestServer,
  name: string,
  { model, projector, template = turns }: Parts,
): Promise<void> {
  const files: Record<string, string> = { "model.gguf": await uploadBlob(server, model) };
  if (projector !== undefined) files["projector.gguf"] = await uploadBlob(server, projector);
  const wanted = { model: name, files, stream: false, template };
  const answer = await server.post("/api/create", wanted);
  if (!answer.ok) throw new Error(`create ${name}: ${await answer.text()}`);
}

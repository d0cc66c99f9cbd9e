/** Models that see, hear or embed, made for tests, in a running server. */
import { type TestServer, uploadBlob } from "./executable.ts";

const template = "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<assistant>";

/** Creates a model from the bytes of its GGUF, and of a projector's. @throws Error with the server's words */
export async function createMediaModel(
  server: TestServer,
  name: string,
  model: Uint8Array,
  projector?: Uint8Array,
): Promise<void> {
  const files: Record<string, string> = { "model.gguf": await uploadBlob(server, model) };
  if (projector !== undefined) files["projector.gguf"] = await uploadBlob(server, projector);
  const wanted = { model: name, files, stream: false, template };
  const answer = await server.post("/api/create", wanted);
  if (!answer.ok) throw new Error(`create ${name}: ${await answer.text()}`);
}

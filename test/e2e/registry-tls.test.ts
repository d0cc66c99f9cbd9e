/**
 * Registries with certificates, as companies have them: of an authority that the server's environment
 * names, of an unknown one, for another name; and what `insecure` makes of them. On the executable,
 * because the runtime reads its trust when it starts.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Authority, haveOpenssl, makeAuthority } from "../support/certificates.ts";
import { haveExecutable, startServer, type TestServer } from "../support/executable.ts";
import { type FakeRegistry, startFakeRegistry } from "../support/fake-registry.ts";
import { ggufBytes } from "../support/gguf.ts";

const text = (content: string) => new TextEncoder().encode(content);
const layers = [
  {
    mediaType: "application/vnd.docker.container.image.v1+json",
    content: text('{"model_format":"gguf","model_family":"llama"}'),
  },
  { mediaType: "application/vnd.ollama.image.model", content: ggufBytes() },
];
const unknown =
  "tls: failed to verify certificate: x509: certificate signed by unknown authority (name the authority's file in SSL_CERT_FILE or NODE_EXTRA_CA_CERTS where the server runs)";

describe.skipIf(!haveExecutable || !haveOpenssl)("a registry with a certificate", () => {
  let authority: Authority;
  let registry: FakeRegistry;
  let model: string;
  beforeAll(() => {
    authority = makeAuthority();
    registry = startFakeRegistry(authority.sign("IP:127.0.0.1"));
    model = registry.publish("u/m", layers);
  });
  afterAll(async () => {
    await registry?.[Symbol.asyncDispose]();
    authority?.[Symbol.dispose]();
  });

  const post = async (server: TestServer, path: string, body: Record<string, unknown>) => {
    const answer = await server.post(path, { stream: false, ...body });
    return { status: answer.status, body: await answer.json() };
  };
  const success = { status: 200, body: { status: "success" } };

  for (const variable of ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"]) {
    test(`is pulled from and pushed to when ${variable} names its authority`, async () => {
      await using server = await startServer({ env: { [variable]: authority.file } });
      expect(await post(server, "/api/pull", { model })).toEqual(success);
      const copy = `${registry.host}/u/copy-${variable.toLowerCase()}`;
      await server.post("/api/copy", { source: model, destination: copy });
      expect(await post(server, "/api/push", { model: copy })).toEqual(success);
      expect(registry.manifests.has(`u/copy-${variable.toLowerCase()}:latest`)).toBe(true);
    });
  }

  test("of an unknown authority is refused at once, with what to do", async () => {
    await using server = await startServer();
    const since = performance.now();
    const url = `https://${registry.host}/v2/u/m/manifests/latest`;
    expect(await post(server, "/api/pull", { model })).toEqual({
      status: 500,
      body: { error: `pull model manifest: Get "${url}": ${unknown}` },
    });
    expect(performance.now() - since).toBeLessThan(2000);
  });

  test("of an unknown authority is taken with `insecure`, for pulls and pushes", async () => {
    await using server = await startServer();
    expect(await post(server, "/api/pull", { model, insecure: true })).toEqual(success);
    const copy = `${registry.host}/u/insecure`;
    await server.post("/api/copy", { source: model, destination: copy });
    expect(await post(server, "/api/push", { model: copy, insecure: true })).toEqual(success);
    expect(registry.manifests.has("u/insecure:latest")).toBe(true);
  });

  test("for another name is refused, whoever signed it", async () => {
    await using server = await startServer({ env: { SSL_CERT_FILE: authority.file } });
    const other = model.replace("127.0.0.1", "localhost");
    const url = `https://${registry.host.replace("127.0.0.1", "localhost")}/v2/u/m/manifests/latest`;
    expect(await post(server, "/api/pull", { model: other })).toEqual({
      status: 500,
      body: {
        error: `pull model manifest: Get "${url}": tls: failed to verify certificate: x509: certificate is valid for other names than this one`,
      },
    });
  });

  test("that speaks plain http is told apart from one whose certificate is wrong", async () => {
    await using plain = startFakeRegistry();
    await using server = await startServer();
    const name = plain.publish("u/m", layers);
    expect(await post(server, "/api/pull", { model: name })).toEqual({
      status: 500,
      body: {
        error: `pull model manifest: Get "https://${plain.host}/v2/u/m/manifests/latest": http: server gave HTTP response to HTTPS client`,
      },
    });
  });
});

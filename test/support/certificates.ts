/** Certificates for servers of tests, made by openssl: an authority of their own, and names it signed. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const haveOpenssl: boolean = Bun.which("openssl") !== null;

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

export interface Authority extends Disposable {
  /** Path of its certificate, as users name it in SSL_CERT_FILE. */
  readonly file: string;
  /** @param names as openssl writes them: `DNS:localhost`, `IP:127.0.0.1` */
  sign(...names: string[]): Certificate;
}

export function makeAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), "hutch-ca-"));
  const openssl = (...args: string[]) => {
    const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: folder });
    if (exitCode !== 0) throw new Error(`openssl ${args[0]}: ${stderr.toString()}`);
  };
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(
    ...["req", "-x509", ...newKey, "-keyout", "ca.key", "-out", "ca.pem"],
    ...["-days", "2", "-subj", "/CN=Authority of a test"],
  );
  return {
    file: join(folder, "ca.pem"),
    sign(...names) {
      openssl(
        ...["req", ...newKey, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=test"],
        ...["-addext", `subjectAltName=${names.join(",")}`],
      );
      openssl(
        ...["x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key"],
        ...["-out", "cert.pem", "-days", "2", "-copy_extensions", "copy"],
      );
      const read = (name: string) => readFileSync(join(folder, name), "utf8");
      return { key: read("key.pem"), cert: read("cert.pem") };
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

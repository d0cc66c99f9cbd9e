/** Secret keys of minisign without a password, for tests; made anew each time, nothing signs with them. */
import { generateKeyPairSync } from "node:crypto";

/** Text of a secret key file. */
export function signingKeyFile(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  const { d = "", x = "" } = privateKey.export({ format: "jwk" });
  const [seed, publicHalf] = [Buffer.from(d, "base64url"), Buffer.from(x, "base64url")];
  const id = Buffer.from("testkey!");
  const head = Buffer.alloc(54);
  head.write("Ed\0\0B2", 0, "latin1");
  const checksum = Buffer.alloc(32);
  const bytes = Buffer.concat([head, id, seed, publicHalf, checksum]);
  return `untrusted comment: a key of tests\n${bytes.toString("base64")}\n`;
}

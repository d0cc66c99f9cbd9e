/**
 * Signs as minisign does (jedisct1.github.io/minisign, "Signature format"): Ed25519 over the BLAKE2b-512
 * of the file, and over signature and trusted comment together. Anybody verifies it with
 * `minisign -V`, and install.sh with openssl as well.
 */
import { createPrivateKey, type KeyObject, sign } from "node:crypto";
import { BuildError } from "../failure.ts";

export interface SigningKey {
  /** Eight bytes that tell keys apart. */
  readonly id: Uint8Array;
  readonly key: KeyObject;
  /** In the form that install.sh carries and `minisign -P` takes. */
  readonly publicKey: string;
}

/** Of a secret key: algorithm, kind of encryption, checksum, salt, two limits, then id and keys. */
const secretLength = 2 + 2 + 2 + 32 + 8 + 8 + 8 + 64 + 32;
const idAt = 54;
/** DER of PKCS 8 before the 32 bytes of an Ed25519 key (RFC 8410). */
const pkcs8 = Buffer.from("302e020100300506032b657004220420", "hex");

/**
 * Reads a secret key file of `minisign -G -W`.
 * @throws BuildError when it is none, or is encrypted with a password
 */
export function readSigningKey(text: string, origin: string): SigningKey {
  const line = text.split("\n").find((one) => one !== "" && !one.startsWith("untrusted comment:"));
  const bytes = Buffer.from(line?.trim() ?? "", "base64");
  if (bytes.length !== secretLength || bytes.toString("latin1", 0, 2) !== "Ed") {
    throw new BuildError(`${origin}: no secret key of minisign`);
  }
  if (bytes.readUInt16LE(2) !== 0) {
    throw new BuildError(
      `${origin}: the key has a password; a release needs one without (minisign -G -W)`,
    );
  }
  const id = bytes.subarray(idAt, idAt + 8);
  const seed = bytes.subarray(idAt + 8, idAt + 40);
  const publicHalf = bytes.subarray(idAt + 40, idAt + 72);
  return {
    id,
    key: createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: "der", type: "pkcs8" }),
    publicKey: Buffer.concat([Buffer.from("Ed"), id, publicHalf]).toString("base64"),
  };
}

/** Text of the .minisig file of some data. */
export function minisign(data: Uint8Array, { id, key }: SigningKey, trusted: string): string {
  const hash = new Bun.CryptoHasher("blake2b512").update(data).digest();
  const signature = sign(null, hash, key);
  const whole = sign(null, Buffer.concat([signature, Buffer.from(trusted)]), key);
  return [
    "untrusted comment: signature of a hutch release",
    Buffer.concat([Buffer.from("ED"), id, signature]).toString("base64"),
    `trusted comment: ${trusted}`,
    whole.toString("base64"),
    "",
  ].join("\n");
}

/**
 * The ed25519 key by which registries know this user (registry.md 7): `~/.ollama/id_ed25519` in
 * OpenSSH's format, so that Ollama and hutch share it. Made when it is first needed.
 */
import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  randomInt,
  sign,
} from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, RegistryError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";

export interface SigningKey {
  /** Base64 of the key in SSH's wire form: second word of the `.pub` line. */
  readonly publicKey: string;
  /** Base64 of the ed25519 signature of a text's UTF-8 bytes. */
  sign(text: string): string;
}

const magic = "openssh-key-v1\0";
const kind = "ssh-ed25519";
/** PKCS#8 head of an ed25519 seed. */
const pkcs8Head = Buffer.from("302e020100300506032b657004220420", "hex");

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A string of SSH's wire format: length and bytes. */
function sshString(bytes: string | Buffer): Buffer {
  const content = Buffer.from(bytes as string);
  return Buffer.concat([u32(content.length), content]);
}

function wireKey(publicBytes: Buffer): Buffer {
  return Buffer.concat([sshString(kind), sshString(publicBytes)]);
}

/** The file's text for a seed and its public key, 32 bytes each. */
export function renderKeyFile(seed: Buffer, publicBytes: Buffer): string {
  const check = u32(randomInt(2 ** 32 - 1));
  const pair = Buffer.concat([seed, publicBytes]);
  const plain = [check, check, sshString(kind), sshString(publicBytes), sshString(pair)];
  let section = Buffer.concat([...plain, sshString("")]);
  for (let i = 1; section.length % 8 !== 0; i++)
    section = Buffer.concat([section, Buffer.from([i])]);
  const whole = Buffer.concat([
    Buffer.from(magic, "latin1"),
    sshString("none"),
    sshString("none"),
    sshString(""),
    u32(1),
    sshString(wireKey(publicBytes)),
    sshString(section),
  ]);
  const lines = whole.toString("base64").match(/.{1,70}/g) ?? [];
  const frame = (word: string) => `-----${word} OPENSSH PRIVATE KEY-----\n`;
  return `${frame("BEGIN")}${lines.join("\n")}\n${frame("END")}`;
}

/** Seed and public key of a file's text. @throws RegistryError when it is no plain ed25519 key */
export function parseKeyFile(text: string): { seed: Buffer; publicBytes: Buffer } {
  const wrong = (reason: string) => new RegistryError(`read private key: ${reason}`);
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]*?)-----END OPENSSH PRIVATE KEY-----/;
  const bytes = Buffer.from(body.exec(text)?.[1]?.replace(/\s/g, "") ?? "", "base64");
  if (bytes.subarray(0, magic.length).toString("latin1") !== magic) {
    throw wrong("not in OpenSSH's format");
  }
  let at = magic.length;
  const number = () => {
    if (at + 4 > bytes.length) throw wrong("the file ends early");
    at += 4;
    return bytes.readUInt32BE(at - 4);
  };
  const string = () => {
    const length = number();
    if (at + length > bytes.length) throw wrong("the file ends early");
    at += length;
    return bytes.subarray(at - length, at);
  };
  if (string().toString() !== "none") throw wrong("it is protected by a passphrase");
  string(); // key derivation
  string(); // its options
  if (number() !== 1) throw wrong("it holds more than one key");
  string(); // public key
  number(); // length of the private section, read on in place
  number();
  number(); // check numbers
  if (string().toString() !== kind) throw wrong("it is no ed25519 key");
  const publicBytes = Buffer.from(string());
  const pair = string();
  if (publicBytes.length !== 32 || pair.length !== 64) throw wrong("it is no ed25519 key");
  return { seed: Buffer.from(pair.subarray(0, 32)), publicBytes };
}

/** Makes a key pair in a folder unless there is one; never overwrites. */
function makeKeyFile(folder: string, logger: Logger): void {
  const path = join(folder, "id_ed25519");
  const { privateKey } = generateKeyPairSync("ed25519");
  const jwk = privateKey.export({ format: "jwk" });
  const publicBytes = Buffer.from(jwk.x ?? "", "base64url");
  const text = renderKeyFile(Buffer.from(jwk.d ?? "", "base64url"), publicBytes);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const pending = `${path}.${randomBytes(6).toString("hex")}`;
  writeFileSync(pending, text, { mode: 0o600, flag: "wx" });
  try {
    linkSync(pending, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return; // another process was faster
    throw error;
  } finally {
    rmSync(pending, { force: true });
  }
  const line = `${kind} ${wireKey(publicBytes).toString("base64")}`;
  writeFileSync(`${path}.pub`, `${line}\n`, { mode: 0o644 });
  logger.info("made a key pair for registries", { path, public: line });
}

/**
 * The key of a folder (`~/.ollama`); made when there is none.
 * @throws RegistryError when the file is there but no usable key, or cannot be made
 */
export function loadKey(folder: string, logger: Logger): SigningKey {
  const path = join(folder, "id_ed25519");
  let text: string | undefined;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      throw new RegistryError(`read ${path}: ${errorMessage(error)}`, { cause: error });
    }
  }
  if (text === undefined) {
    try {
      makeKeyFile(folder, logger);
      text = readFileSync(path, "utf8");
    } catch (error) {
      throw new RegistryError(`make ${path}: ${errorMessage(error)}`, { cause: error });
    }
  }
  const { seed, publicBytes } = parseKeyFile(text);
  const key: KeyObject = createPrivateKey({
    key: Buffer.concat([pkcs8Head, seed]),
    format: "der",
    type: "pkcs8",
  });
  return {
    publicKey: wireKey(publicBytes).toString("base64"),
    sign: (content) => sign(null, Buffer.from(content), key).toString("base64"),
  };
}

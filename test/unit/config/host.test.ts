/** HOST in all its spellings (env.md 4). */
import { expect, test } from "bun:test";
import { hostUrl, parseHost } from "../../../src/config/host.ts";

const cases: [text: string, url: string][] = [
  ["127.0.0.1:11434", "http://127.0.0.1:11434"],
  ["1.2.3.4", "http://1.2.3.4:11434"],
  ["example.com", "http://example.com:11434"],
  [":1234", "http://0.0.0.0:1234"],
  ["0.0.0.0", "http://0.0.0.0:11434"],
  ["[::]", "http://0.0.0.0:11434"],
  ["::1", "http://[::1]:11434"],
  ["[::1]", "http://[::1]:11434"],
  ["[::1]:1337", "http://[::1]:1337"],
  [":0", "http://0.0.0.0:0"],
  ["http://1.2.3.4", "http://1.2.3.4:80"],
  ["https://1.2.3.4", "https://1.2.3.4:443"],
  ["https://h/ollama", "https://h:443/ollama"],
  ["https://h:8443/ollama/", "https://h:8443/ollama"],
];

for (const [text, url] of cases) {
  test(`"${text}" means ${url}`, () => {
    expect(hostUrl(parseHost(text))).toBe(url);
  });
}

for (const text of [":66000", ":-1", "h:x"]) {
  test(`the unusable port of "${text}" gives the default port and a warning`, () => {
    const address = parseHost(text);
    expect(address.port).toBe(11434);
    expect(address.warning).toStartWith("invalid port, using default:");
  });
}

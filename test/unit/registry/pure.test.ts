/** The registry client's decisions: addresses, challenges, ranges, pauses, parts, proxies. */
import { describe, expect, test } from "bun:test";
import { proxyFor } from "../../../src/config/proxy.ts";
import { RegistryError } from "../../../src/errors.ts";
import { parseName } from "../../../src/model/name.ts";
import { prunable } from "../../../src/model/prune.ts";
import { locationOf, registryBases } from "../../../src/model/registry/address.ts";
import { parseChallenge, tokenUrl } from "../../../src/model/registry/challenge.ts";
import { parseKeyFile, renderKeyFile } from "../../../src/model/registry/key.ts";
import { firstPace, mostStreams, nextPace, slowerPace } from "../../../src/model/registry/pace.ts";
import { rangesOf } from "../../../src/model/registry/partial.ts";
import {
  addRange,
  frontOf,
  gapsIn,
  type Range,
  sizeOf,
} from "../../../src/model/registry/ranges.ts";
import { mayRetry, pauseMs, retryAfterMs } from "../../../src/model/registry/retry.ts";
import {
  ociDialect,
  ownDialect,
  partSize,
  partsOf,
  receivedBytes,
  uploadTag,
} from "../../../src/model/registry/upload-parts.ts";

describe("addresses", () => {
  const bases = (name: string, insecure: boolean) =>
    registryBases(parseName(name), insecure).map(({ url, verified }) =>
      verified ? url.origin : `${url.origin} unverified`,
    );

  test("are https; insecure is http, then any certificate; public names are tried by https first", () => {
    expect(bases("m", false)).toEqual(["https://registry.ollama.ai"]);
    expect(bases("m", true)).toEqual(["https://registry.ollama.ai", "http://registry.ollama.ai"]);
    expect(bases("hf.co/u/m:Q8_0", false)).toEqual(["https://hf.co"]);
    expect(bases("127.0.0.1:5000/u/m", true)).toEqual([
      "http://127.0.0.1:5000",
      "https://127.0.0.1:5000 unverified",
    ]);
    expect(bases("example.com:5000/u/m", true)).toEqual([
      "http://example.com:5000",
      "https://example.com:5000 unverified",
    ]);
    expect(bases("http://example.com/u/m", true)).toEqual(["http://example.com"]);
    expect(() => bases("http://example.com/u/m", false)).toThrow("insecure protocol http");
  });

  test("of redirects may be relative, and lead to http and https only", () => {
    const from = new URL("http://a/v2/x?y=1");
    expect(locationOf("/z?_state=1", from).href).toBe("http://a/z?_state=1");
    for (const header of [null, "", "file:///etc/passwd", "ftp://a/", "http://["]) {
      expect(() => locationOf(header, from)).toThrow(RegistryError);
    }
  });
});

describe("challenges", () => {
  test("are read in any order, with parts missing", () => {
    const header = `Bearer scope="repository:a/b:pull,push x", service=s, realm="https://h/t"`;
    const scopes = ["repository:a/b:pull,push", "x"];
    expect(parseChallenge(header)).toEqual({ realm: "https://h/t", service: "s", scopes });
    expect(parseChallenge(null)).toEqual({ realm: "", service: "", scopes: [] });
  });

  test("become a query that is sorted and escaped as Go does it", () => {
    const challenge = {
      realm: "https://h/t?account=a~b*",
      service: "ollama.com",
      scopes: ["repository:library/foo:pull,push"],
    };
    expect(tokenUrl(challenge, new URL("https://h/v2/"), 123_900, "ab-_").href).toBe(
      "https://h/t?account=a~b%2A&nonce=ab-_&scope=repository%3Alibrary%2Ffoo%3Apull%2Cpush&service=ollama.com&ts=123",
    );
  });

  test.each([
    ["https://evil/t", 'realm host "evil" does not match original host "h"'],
    ["https://h@evil/t", 'realm host "evil" does not match original host "h"'],
    ["https://h:444/t", 'realm host "h:444" does not match original host "h"'],
    ["nonsense", 'realm host "" does not match original host "h"'],
    ["http://h/t", 'realm host "h" does not match original host "h"'],
  ])("with the realm %s are refused", (realm, message) => {
    const ask = () =>
      tokenUrl({ realm, service: "", scopes: [] }, new URL("https://h/v2/"), 0, "n");
    // Over plain http the port is another one, so the host is too.
    expect(ask).toThrow(realm === "http://h/t" ? "not as secure" : message);
  });
});

describe("keys", () => {
  test("survive OpenSSH's format, and nothing else passes for one", () => {
    const seed = Buffer.alloc(32, 7);
    const publicBytes = Buffer.alloc(32, 9);
    const text = renderKeyFile(seed, publicBytes);
    expect(parseKeyFile(text)).toEqual({ seed, publicBytes });
    for (const wrong of ["", "x", text.slice(0, 150), text.replace(/b3Bl/, "AAAA")]) {
      expect(() => parseKeyFile(wrong)).toThrow(RegistryError);
    }
  });
});

describe("ranges", () => {
  test("merge what touches and know what is missing", () => {
    const order: Range[] = [
      [10, 20],
      [30, 40],
      [0, 5],
      [20, 30],
      [5, 10],
      [50, 60],
    ];
    const all = order.reduce<Range[]>(addRange, []);
    expect(all).toEqual([
      [0, 40],
      [50, 60],
    ]);
    expect([frontOf(all), sizeOf(all)]).toEqual([40, 50]);
    expect(gapsIn(all, 70)).toEqual([
      [40, 50],
      [60, 70],
    ]);
    expect(gapsIn([], 5)).toEqual([[0, 5]]);
    expect(gapsIn([[0, 5]], 5)).toEqual([]);
  });

  test("of part files are believed only when the parts fit", () => {
    const part = (N: number, Offset: number, Size: number, Completed: number) => ({
      N,
      Offset,
      Size,
      Completed,
    });
    expect(rangesOf([part(1, 50, 50, 10), part(0, 0, 50, 50)], 100)).toEqual([[0, 60]]);
    const nothing = [
      [part(0, 0, 50, 50)], // one is missing
      [part(0, 0, 50, 50), part(1, 60, 40, 40)], // a gap
      [part(0, 0, 60, 50), part(1, 50, 50, 40)], // an overlap
      [part(0, 0, 50, 51), part(1, 50, 50, 0)], // more than there is
      [part(0, 0, 50, 50), undefined, part(1, 50, 50, 50)], // one is unreadable
    ];
    for (const parts of nothing) expect(rangesOf(parts, 100)).toEqual([]);
    const own = { ...part(0, 0, 100, 10), Ranges: [[30, 40] as [number, number]] };
    expect(rangesOf([own, part(1, 50, 50, 50)], 100)).toEqual([
      [0, 10],
      [30, 40],
    ]);
    expect(rangesOf([{ ...own, Ranges: [[30, 400] as [number, number]] }], 100)).toEqual([]);
  });
});

describe("pauses", () => {
  test("double, with a spread, and follow the registry's wish", () => {
    const error = new RegistryError("x", { transient: true });
    expect([1, 2, 6, 9].map((tries) => pauseMs(error, tries, 1000, 0.5))).toEqual([
      1000, 2000, 32_000, 32_000,
    ]);
    expect(pauseMs(error, 1, 1000, 0)).toBe(800);
    const asked = new RegistryError("x", { transient: true, retryAfterMs: 70_000 });
    expect(pauseMs(asked, 1, 1000, 0.5)).toBe(70_000);
    expect([mayRetry(asked, 5), mayRetry(asked, 6), mayRetry(new Error("bug"), 1)]).toEqual([
      true,
      false,
      false,
    ]);
    const long = new RegistryError("x", { transient: true, retryAfterMs: 3_600_000 });
    expect(mayRetry(long, 1)).toBe(false);
  });

  test("come as seconds or as a date", () => {
    const now = Date.UTC(2026, 0, 1);
    expect(retryAfterMs("7", now)).toBe(7000);
    expect(retryAfterMs("Thu, 01 Jan 2026 00:00:09 GMT", now)).toBe(9000);
    expect([retryAfterMs(null, now), retryAfterMs("soon", now)]).toEqual([undefined, undefined]);
  });
});

test("streams grow while that helps, and shrink when a registry asks for it", () => {
  let pace = firstPace;
  for (let rate = 10; pace.growing; rate *= 2) pace = nextPace(pace, rate);
  expect(pace.streams).toBe(mostStreams);
  let flat = nextPace(firstPace, 100);
  flat = nextPace(flat, 100);
  expect([flat.streams, flat.growing]).toEqual([1, false]);
  expect(slowerPace({ ...pace, streams: 8 }).streams).toBe(4);
});

describe("uploads", () => {
  test("have parts of one size, by the registry's dialect", () => {
    expect(partSize(5_000_000_000, ownDialect)).toBe(312_500_000);
    expect(partSize(5_000, ownDialect)).toBe(100_000_000);
    expect(partSize(100_000_000, ociDialect)).toBe(16_000_000);
    expect(partSize(100, ociDialect, 20_000_000)).toBe(20_000_000);
    expect(partsOf(0, 25, 10)).toEqual([
      [0, 10],
      [10, 20],
      [20, 25],
    ]);
    expect(partsOf(0, 0, 10)).toEqual([]);
  });

  test("end with the tag that the recordings show", () => {
    const md5 = (bytes: string) => new Bun.CryptoHasher("md5").update(bytes).digest("hex");
    // The license layer of the recorded push: "MIT".
    expect(uploadTag([md5("MIT")])).toBe("fe8109671eeed1f3dd48ab4232e6b1e8-1");
    expect(uploadTag([])).toBe("d41d8cd98f00b204e9800998ecf8427e-0");
  });

  test("hear what the registry has", () => {
    expect([receivedBytes("0-99"), receivedBytes("bytes=0-99"), receivedBytes("0-0")]).toEqual([
      100, 100, 0,
    ]);
    expect([receivedBytes(null), receivedBytes("5-9")]).toEqual([undefined, undefined]);
  });
});

test("proxies are chosen by the target; this machine and exceptions are reached directly", () => {
  const settings = {
    http: "proxy:3128",
    https: "http://secure:8080",
    except: ["example.org", ".intern", "10.0.0.1", "host:5000"],
  };
  const choice = (url: string) => proxyFor(new URL(url), settings);
  expect(choice("http://a.com/")).toBe("http://proxy:3128");
  expect(choice("https://a.com/")).toBe("http://secure:8080");
  for (const direct of [
    "http://localhost:1/",
    "http://127.0.0.5/",
    "http://[::1]:3/",
    "https://www.example.org/",
    "http://x.intern/",
    "http://10.0.0.1/",
    "http://host:5000/",
  ]) {
    expect(choice(direct)).toBeUndefined();
  }
  expect(choice("http://host:5001/")).toBe("http://proxy:3128");
  expect(choice("https://notexample.org/")).toBe("http://secure:8080");
  expect(proxyFor(new URL("http://a/"), { ...settings, except: ["*"] })).toBeUndefined();
});

test("pruning takes old files that nobody mentions, and leaves transfers for a day", () => {
  const hex = (digit: string) => digit.repeat(64);
  const hour = 3_600_000;
  const now = 100 * hour;
  const age = (name: string, hours: number) => ({ name, modifiedAt: now - hours * hour });
  const entries = [
    age(`sha256-${hex("a")}`, 50),
    age(`sha256-${hex("b")}`, 50),
    age(`sha256-${hex("c")}`, 0.5),
    age("sha256-1234", 2),
    age(`sha256-${hex("d")}-partial`, 23),
    age(`sha256-${hex("d")}-partial-0`, 90),
    age(`sha256-${hex("d")}-hash`, 90),
    age(`sha256-${hex("e")}-partial`, 25),
    age(`sha256-${hex("e")}-hash`, 26),
    age(`sha256-${hex("f")}-upload-0123456789ab`, 23),
    age(`sha256-${hex("f")}-upload-0-hash`, 23),
    age(`sha256-${hex("f")}.lock`, 2),
  ];
  expect(prunable(entries, new Set([`sha256:${hex("a")}`]), now)).toEqual([
    `sha256-${hex("b")}`,
    "sha256-1234",
    `sha256-${hex("e")}-partial`,
    `sha256-${hex("e")}-hash`,
    `sha256-${hex("f")}.lock`,
  ]);
});

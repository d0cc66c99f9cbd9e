/** Bodies as Go reads them: bytes that are no UTF-8, base64. */
import { describe, expect, test } from "bun:test";
import { decodeBase64 } from "../../../src/server/ollama/go-body.ts";
import { firstValue } from "../../../src/server/ollama/go-json.ts";

const bytes = (text: string) => Buffer.from(text, "latin1");

describe("a byte that is out of place", () => {
  test.each([
    ['{"a":\xfe1}', "'þ' looking for beginning of value"],
    ['{"a":[2\x80]}', "'\\u0080' after array element"],
    ['{"\xff\xff":fal\xade}', "'\\u00ad' in literal false (expecting 's')"],
    ["\xc3\xbc", "'Ã' looking for beginning of value"],
    ["{\x7f}", "'\\x7f' looking for beginning of object key string"],
  ])("is named as it is: %j", (body, text) => {
    expect(() => firstValue(bytes(body))).toThrow(`invalid character ${text}`);
  });
});

test("what follows the first value is left out, whatever bytes come before", () => {
  const { value, text } = firstValue(bytes('{"k\xff":"\xc3\xbc"} {"k":2}')) ?? {};
  expect(value).toEqual({ "k\ufffd": "ü" });
  expect(text).toBe('{"k\ufffd":"ü"}');
});

describe("base64", () => {
  test("is read across line ends", () => {
    expect(Buffer.from(decodeBase64("aHV\r\n0Y2g\n=\n")).toString()).toBe("hutch");
  });

  test.each([
    ["aHV0Y2g", 4],
    ["aHV0Yw=", 7],
    ["aHV0Yw\n=\n", 9],
    ["aHV0Yw=x", 6],
    ["aHV0Yw==\nx", 9],
    ["aHV0Y2g=aHV0", 8],
    ["aHV0Y===", 5],
    ["aHV0\né", 5],
    ["====", 0],
  ])("names the byte where %j is wrong", (text, at) => {
    expect(() => decodeBase64(text)).toThrow(`illegal base64 data at input byte ${at}`);
  });
});

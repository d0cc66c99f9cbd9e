/** One status per error code, one body; bugs are told from deliberate errors (api.md 1.6). */
import { describe, expect, test } from "bun:test";
import {
  AppError,
  BusyError,
  CanceledError,
  EngineCrashedError,
  type ErrorCode,
  errorCodes,
  ModelNotFoundError,
  OptionError,
} from "../../src/errors.ts";
import {
  errorLine,
  errorResponse,
  isBug,
  statusFor,
  statusOf,
} from "../../src/server/ollama/errors.ts";

describe("the table of statuses", () => {
  test("has every code once, and nothing else", () => {
    expect(Object.keys(statusOf).toSorted()).toEqual([...errorCodes].toSorted());
  });

  test("has the statuses that clients know", () => {
    const expected: Partial<Record<ErrorCode, number>> = {
      invalid_request: 400,
      model_required: 400,
      model_name: 400,
      model_not_found: 404,
      capability: 400,
      option: 500,
      cloud_disabled: 403,
      digest_format: 400,
      digest_mismatch: 400,
      gguf: 400,
      busy: 503,
      canceled: 499,
      model_load: 500,
      out_of_memory: 500,
      context_overflow: 400,
      engine_crashed: 500,
      unsupported: 501,
    };
    expect(statusOf).toMatchObject(expected);
  });

  test("every status is an error's", () => {
    for (const [code, status] of Object.entries(statusOf)) {
      expect({ code, error: status >= 400 && status < 600 }).toEqual({ code, error: true });
    }
  });
});

describe("an error as an answer", () => {
  test("is its text in one key", async () => {
    const answer = errorResponse(new ModelNotFoundError("model 'x' not found"));
    expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([
      404,
      "application/json; charset=utf-8",
      `{"error":"model 'x' not found"}`,
    ]);
  });

  test("has no charset when it was met in a run", () => {
    const answer = errorResponse(new OptionError("x"), { plain: true });
    expect(answer.headers.get("content-type")).toBe("application/json");
  });

  test("asks clients to come back when the queue is full", () => {
    expect(errorResponse(new BusyError()).headers.get("retry-after")).toBe("1");
    expect(errorResponse(new CanceledError()).headers.get("retry-after")).toBeNull();
  });

  test("as a last line says when it was the engine that ended", () => {
    expect(errorLine(new OptionError("x"))).toBe('{"error":"x"}');
    expect(errorLine(new EngineCrashedError("signal 9"))).toBe(
      '{"error":"an error was encountered while running the model: signal 9"}',
    );
  });
});

test("an abort is a client that left; anything unknown is a bug of ours", () => {
  const abort = new DOMException("aborted", "AbortError");
  class Deliberate extends AppError {
    readonly code = "busy";
  }
  expect([statusFor(abort), isBug(abort)]).toEqual([499, false]);
  expect([statusFor(new Deliberate("x")), isBug(new Deliberate("x"))]).toEqual([503, false]);
  expect([statusFor(new TypeError("x")), isBug(new TypeError("x"))]).toEqual([500, true]);
});

/** What is told of a child that ended by itself. */
import { expect, test } from "bun:test";
import { crashText } from "../../../src/engine/child-errors.ts";
import { lastWords } from "../../../src/last-words.ts";
import { memoryKills } from "../../../src/memory-kills.ts";

/** As Bun 1.4.5 ends a process whose native code aborts. */
const report = `============================================================
Bun v1.4.5 (a7733435) Linux x64
Args: "hutch" "runner"
Elapsed: 1494ms | User: 66ms | Sys: 45ms

panic(main thread): abort() called
oh no: Bun has crashed. This indicates a bug in Bun, not your code.

To send a redacted crash report to Bun's team,
please file a GitHub issue using the link below:

 https://bun.report/1.4.5/l_1a773343E
`;
const assertion = "llama.cpp/ggml/src/ggml-backend.cpp:205: GGML_ASSERT(buffer) failed";

test("an assertion is told, not the runtime's opinion of it", () => {
  const stderr = `a warning\n${assertion}\n./libggml-base.so(+0x1)[0x2]\n./libc.so(abort)\n${report}`;
  expect(lastWords(stderr)).toBe(assertion);
  expect(crashText(null, "SIGABRT", stderr, 0)).toEndWith(`signal SIGABRT: ${assertion}`);
});

test("without an assertion the last lines are told", () => {
  expect(lastWords("one\ntwo\n\nthree\nfour\n")).toBe("two; three; four");
  expect(lastWords(`one\n${report}`)).toBe("one");
});

test("of a child that said nothing only its end is told", () => {
  expect(lastWords(report)).toBe("");
  expect(crashText(3, null, "", 0)).toEndWith("for details: exit status 3");
});

test("a child that was killed while the system killed for memory ran out of it", () => {
  const killed = (before: number) => crashText(null, "SIGKILL", "", before);
  expect(killed(memoryKills())).toEndWith("for details: signal SIGKILL");
  expect(killed(memoryKills() - 1)).toEndWith("signal SIGKILL, out of memory: the system ended it");
});

test("a failed driver's last words are its error, not where it was noticed", () => {
  const stderr =
    "CUDA error: out of memory\n  current device: 0, in function f\nggml-cuda.cu:108: CUDA error\n";
  expect(lastWords(stderr)).toBe("CUDA error: out of memory");
});

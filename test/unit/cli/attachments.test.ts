/** Files in prompts (cli.md 4.1). */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { extractFiles, readAttachment, takesFiles } from "../../../src/cli/attachments.ts";
import { testContext } from "../../support/command-line.ts";
import { temporaryFolder } from "../../support/executable.ts";

const png = Buffer.from("\x89PNG\r\n\x1a\nrest", "latin1");
const wav = Buffer.from("RIFF....WAVErest", "latin1");

async function extract(
  files: Record<string, Uint8Array | string>,
  prompt: (folder: string) => string,
) {
  await using folder = await temporaryFolder();
  for (const [name, bytes] of Object.entries(files))
    await Bun.write(join(folder.path, name), bytes);
  const context = testContext();
  const hide = (text: string) => text.replaceAll(folder.path, "DIR");
  try {
    const found = await extractFiles(context, prompt(folder.path));
    return { ...found, prompt: hide(found.prompt), note: hide(context.printed.note) };
  } catch (error) {
    return { error: String(error), note: hide(context.printed.note) };
  }
}

describe("paths in a prompt", () => {
  test("are taken out, sent and told; the kind is that of the bytes", async () => {
    expect(
      await extract(
        { "a.png": png, "b.WAV": wav },
        (dir) => `What is ${dir}/a.png and '${dir}/b.WAV'?`,
      ),
    ).toEqual({
      prompt: "What is  and ?",
      images: [png.toString("base64"), wav.toString("base64")],
      note: "Added image 'DIR/a.png'\nAdded audio 'DIR/b.WAV'\n",
    });
  });

  test("may hold blanks, as a shell escapes them", async () => {
    expect(
      await extract(
        { "my pic (1).jpg": Buffer.from("\xff\xd8\xff\xe0", "latin1") },
        (dir) => `${dir}/my\\ pic\\ \\(1\\).jpg`,
      ),
    ).toEqual({
      prompt: "",
      images: [Buffer.from("\xff\xd8\xff\xe0", "latin1").toString("base64")],
      note: "Added image 'DIR/my pic (1).jpg'\n",
    });
  });

  test("stay text when there is no such file", async () => {
    expect(
      await extract({}, (dir) => `See ${dir}/nosuch.png and https://x.example/y.png `),
    ).toEqual({
      prompt: "See DIR/nosuch.png and https://x.example/y.png ",
      images: [],
      note: "",
    });
  });

  test("fail when the bytes are something else", async () => {
    expect(await extract({ "a.png": "plain text" }, (dir) => `${dir}/a.png`)).toEqual({
      error: "UsageError: invalid file type: text/plain",
      note: `Couldn't process file: "invalid file type: text/plain"\n`,
    });
  });
});

test("a file named by a flag that is not there is an error", async () => {
  await expect(readAttachment("/nosuch/a.png")).rejects.toThrow("ENOENT");
});

test("models that take files tell so by capability, projector or metadata", () => {
  expect(
    [
      { capabilities: ["completion", "vision"] },
      { capabilities: ["audio"] },
      { projector_info: { "general.architecture": "clip" } },
      { model_info: { "gemma3.vision.block_count": 27 } },
      { capabilities: ["completion"], model_info: { "llama.block_count": 5 } },
    ].map(takesFiles),
  ).toEqual([true, true, true, true, false]);
});

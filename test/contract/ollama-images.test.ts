/** Images in generate and chat on a scripted engine: where they stand in the prompt (api.md 5, 6). */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type Application, openApplication } from "../support/application.ts";
import { ggufBytes } from "../support/gguf.ts";
import { png } from "../support/pictures.ts";
import { tinyProjector } from "../support/tiny-models.ts";

const pictures = [png([1, 2, 3], [4, 5, 6]), png([9, 9, 9], [0, 0, 0]), png([7, 0, 7], [0, 7, 0])];
const [first = "", second = "", third = ""] = pictures.map((bytes) =>
  Buffer.from(bytes).toString("base64"),
);

let application: Application;
beforeEach(async () => {
  application = openApplication();
  const model = await application.upload(ggufBytes());
  const projector = await application.upload(tinyProjector("mlp"));
  const template = "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<assistant>";
  const files = { "model.gguf": model, "projector.gguf": projector };
  await application.create("sees", { files, template });
  await application.create("blind", { template });
  await application.create("bare", { files });
});
afterEach(() => application[Symbol.asyncDispose]());

/** The prompts that the engine got; an image as its number among the pictures. */
const prompts = () =>
  application.engine.requests.map(({ prompt }) =>
    prompt
      .map((part) => {
        if ("media" in part)
          return `{${pictures.findIndex((bytes) => Buffer.compare(part.media, bytes) === 0)}}`;
        return "text" in part ? part.text : String.fromCodePoint(...part.tokens);
      })
      .join(""),
  );

describe("images in a chat", () => {
  const chat = (messages: unknown, model = "sees") =>
    application.post("/api/chat", { model, messages, stream: false });

  test("stand in front of the text they came with", async () => {
    await chat([
      { role: "user", content: "what?", images: [second] },
      { role: "assistant", content: "a cat" },
      { role: "user", content: "and this?", images: [third] },
    ]);
    expect(prompts()).toEqual(["<user>{1}what?<assistant>a cat<user>{2}and this?<assistant>"]);
  });

  test("stand where the text says, in turn", async () => {
    await chat([{ role: "user", content: "[img] or [img]?", images: [first, second, third] }]);
    expect(prompts()).toEqual(["<user>{2}{0} or {1}?<assistant>"]);
  });

  test("leave a marker without an image as text", async () => {
    await chat([{ role: "user", content: "[img-7] is [img-0]", images: [second] }]);
    expect(prompts()).toEqual(["<user>{1}[img-7] is {1}<assistant>"]);
  });

  test("are those of the messages that are kept", async () => {
    const long = "word ".repeat(600);
    await chat([
      { role: "user", content: long, images: [first] },
      { role: "assistant", content: "yes" },
      { role: "user", content: "this?", images: [second] },
    ]);
    expect(prompts()[0]).toEndWith("<user>{1}this?<assistant>");
    expect(prompts()[0]).not.toContain("{0}");
  });

  test("are refused by a model that takes none, whatever else it can", async () => {
    const { status, body } = await chat([{ role: "user", content: "x", images: [first] }], "blind");
    expect({ status, body }).toEqual({
      status: 400,
      body: {
        error: "Multimodal data provided, but model does not support multimodal requests.",
      },
    });
  });
});

describe("images in generate", () => {
  const generate = (fields: Record<string, unknown>) =>
    application.post("/api/generate", { model: "sees", stream: false, ...fields });

  test("stand in front of the prompt, by every way to make one", async () => {
    const images = [first, second];
    await generate({ prompt: "what?", images });
    await generate({ prompt: "what?", images, raw: true });
    await generate({ prompt: "what?", images, template: "[{{ .Prompt }}]" });
    await generate({ model: "bare", prompt: "what?", images });
    expect(prompts()).toEqual([
      "<user>{0}{1}what?<assistant>",
      "{0}{1}what?",
      "[{0}{1}what?]",
      "{0}{1}what?",
    ]);
  });

  test("stand where a raw prompt says", async () => {
    await generate({ prompt: "see [img], then [img]", images: [third, first], raw: true });
    expect(prompts()).toEqual(["see {2}, then {0}"]);
  });

  test("are refused by a model that takes none, also when it would stream", async () => {
    const answer = await application.send("POST", "/api/generate", {
      model: "blind",
      prompt: "x",
      images: [first],
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({
      error: "Multimodal data provided, but model does not support multimodal requests.",
    });
  });
});

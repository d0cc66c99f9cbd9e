/** A chat at a terminal, beyond what is recorded of Ollama: pastes, editors, resizing, signals. */
// biome-ignore-all lint/suspicious/noControlCharactersInRegex: terminals speak in them
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { executable, haveExecutable, temporaryFolder, until } from "../support/executable.ts";
import { chatServer, openChat, openTerminal } from "../support/terminal.ts";

const pasted = (text: string) => `\x1b[200~${text}\x1b[201~`;

describe.skipIf(!haveExecutable)("a chat", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let home = "";
  beforeAll(async () => {
    folder = await temporaryFolder();
    home = folder.path;
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  test("pasted lines are one message, sent by Enter alone", async () => {
    using server = chatServer();
    await using chat = await openChat(server, { home });
    chat.write(pasted("one\r\ntwo\rthree"));
    await chat.shows("... three");
    expect(server.chats).toEqual([]);
    chat.write("\r");
    await until("the message arrives", () => server.chats.length === 1);
    expect(server.chats[0]?.messages).toEqual([{ role: "user", content: "one\ntwo\nthree" }]);
  });

  test("Ctrl-J begins another line, arrows move between them", async () => {
    using server = chatServer();
    await using chat = await openChat(server, { home });
    chat.write("two\n");
    await chat.shows("... ");
    chat.write("three\x1b[A\x01one \r");
    await until("the message arrives", () => server.chats.length === 1);
    expect(server.chats[0]?.messages).toEqual([{ role: "user", content: "one two\nthree" }]);
  });

  test("Ctrl-C stops the answer; what was said stays in the session", async () => {
    using server = chatServer();
    await using chat = await openChat(server, { home });
    chat.write("Hi\r");
    await until("the message arrives", () => server.chats.length === 1);
    server.say("half an ans");
    await chat.shows("half an ans");
    chat.write("\x03");
    await until("the client leaves", () => server.left());
    await chat.shows(">>> ");
    chat.write("Go on\r");
    await until("the next message arrives", () => server.chats.length === 2);
    expect(server.chats[1]?.messages).toEqual([
      { role: "user", content: "Hi" },
      { role: "assistant", content: "half an ans" },
      { role: "user", content: "Go on" },
    ]);
  });

  test("what is typed during an answer waits for the next prompt", async () => {
    using server = chatServer();
    await using chat = await openChat(server, { home });
    chat.write("Hi\r");
    await until("the message arrives", () => server.chats.length === 1);
    server.say("Well,");
    await chat.shows("Well,");
    chat.write("typed ahead");
    server.end();
    await chat.shows(">>> typed ahead");
  });

  test("thinking is grey and told apart", async () => {
    using server = chatServer(["completion", "thinking"]);
    await using chat = await openChat(server, { home });
    chat.write("Hi\r");
    await until("the message arrives", () => server.chats.length === 1);
    expect(server.chats[0]).toMatchObject({ think: true });
    server.say("", "Hm");
    server.say("Yes.");
    server.end();
    await chat.shows(
      /\x1b\[38;5;245mThinking\.\.\.\r\nHm\r\n\.\.\.done thinking\.\r\n\r\n\x1b\[0mYes\./,
    );
  });

  test("NO_COLOR: not one colour", async () => {
    using server = chatServer(["completion", "thinking"]);
    await using chat = await openChat(server, { home, env: { NO_COLOR: "1" } });
    chat.write("Hi\r");
    await until("the message arrives", () => server.chats.length === 1);
    server.say("", "Hm");
    server.say("Yes.");
    server.end();
    await chat.shows("Yes.");
    expect(chat.raw()).not.toMatch(/\x1b\[[\d;]*(3[0-9]|4[0-9]|9[0-7])[\d;]*m/);
  });

  test("an image that is dragged in is sent, its path is not", async () => {
    const image = join(home, "my pic.png");
    await Bun.write(image, Buffer.from("\x89PNG\r\n\x1a\n", "latin1"));
    using server = chatServer(["completion", "vision"]);
    await using chat = await openChat(server, { home });
    chat.write(pasted(`What is this? ${image.replaceAll(" ", "\\ ")}`));
    chat.write("\r");
    await chat.shows(`Added image '${image}'`);
    await until("the message arrives", () => server.chats.length === 1);
    const images = [(await Bun.file(image).bytes()).toBase64()];
    expect(server.chats[0]?.messages).toEqual([{ role: "user", content: "What is this?", images }]);
  });

  test("Ctrl-G opens the editor; what it leaves can be sent", async () => {
    const editor = join(home, "editor.sh");
    await Bun.write(editor, '#!/bin/sh\nprintf " and more\\nlines\\n" >> "$1"\n');
    await chmod(editor, 0o755);
    using server = chatServer();
    await using chat = await openChat(server, { home, env: { HUTCH_EDITOR: editor } });
    chat.write("begun\x07");
    await chat.shows("... lines");
    chat.write("\r");
    await until("the message arrives", () => server.chats.length === 1);
    expect(server.chats[0]?.messages).toEqual([{ role: "user", content: "begun and more\nlines" }]);
  });

  test("a missing editor is told, and what was typed stays", async () => {
    using server = chatServer();
    await using chat = await openChat(server, { home, env: { HUTCH_EDITOR: "/nosuch/editor" } });
    chat.write("begun\x07");
    await chat.shows('error: editor "/nosuch/editor" was not found');
    await chat.shows(">>> begun");
  });

  test("the line that is typed is drawn anew when the terminal is resized", async () => {
    using server = chatServer();
    await using chat = await openChat(server, { home, columns: 40 });
    chat.write("模型 abcdefghijklmnopqrst");
    await chat.shows("模型 abcdefghijklmnopqrst");
    chat.resize(20, 10);
    await chat.shows(/\x1b\[J>>> 模型 abcdefghijk\r+\nlmnopqrst/);
  });

  test("Ctrl-L clears the screen and keeps the line", async () => {
    using server = chatServer();
    await using chat = await openChat(server, { home });
    chat.write("kept\x0c");
    await chat.shows(/\x1b\[H\x1b\[2J[\s\S]*>>> kept/);
  });

  test("words are wrapped, and never in the middle", async () => {
    using server = chatServer();
    await using chat = await openChat(server, { home, columns: 22 });
    chat.write("Hi\r");
    await until("the message arrives", () => server.chats.length === 1);
    server.say("the quick brown fo");
    server.say("x jumps");
    server.end();
    // The word that turns out too long is taken back and begins the next line.
    await chat.shows(/the quick brown f\x1b\[1D\x1b\[K\r\nfox jumps/);
  });

  test("the terminal is as it was when the chat is over, whichever way", async () => {
    for (const leave of ["/bye\r", "\x04"]) {
      using server = chatServer();
      const shell = ["sh", "-c", `'${executable}' run fake; stty -a; echo end of shell`];
      await using session = openTerminal(shell, { home, env: { HUTCH_HOST: server.url } });
      await session.shows(">>> ");
      session.write(leave);
      await session.shows("\x1b[?2004l");
      await session.shows(/ icanon[\s\S]* echo[\s\S]*end of shell/);
    }
  });

  test("Ctrl-Z puts it in the background, it comes back with its prompt", async () => {
    using server = chatServer();
    const shell = [
      "bash",
      "--norc",
      "-c",
      `set -m; '${executable}' run fake; echo in the shell; fg`,
    ];
    await using session = openTerminal(shell, { home, env: { HUTCH_HOST: server.url } });
    await session.shows(">>> ");
    session.write("kept\x1a");
    await session.shows("in the shell");
    await session.shows(">>> kept");
    session.write("\r");
    await until("the message arrives", () => server.chats.length === 1);
    server.end();
  });

  test("a terminal that goes away ends it", async () => {
    using server = chatServer();
    const chat = await openChat(server, { home });
    process.kill(chat.pid, "SIGHUP");
    await chat.exited;
    await chat[Symbol.asyncDispose]();
  });
});

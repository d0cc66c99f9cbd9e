/**
 * install.sh on systems of several kinds: over HTTP with curl and wget, as root and not, in a root
 * folder that has nothing but busybox (as Alpine has), and as a service of systemd. Folders of the
 * machine are covered by empty ones in a mount namespace first.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { install, openPlaces, type Tool, toolFolder, tree } from "../support/installing.ts";
import { greeting, makeMirror, ownPlatform } from "../support/mirror.ts";

const root = process.getuid?.() === 0;
const linux = process.platform === "linux";
const busybox = Bun.which("busybox");
const nobody = 65534;
const asNobody = ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"];
const canDrop = linux && root && Bun.which("setpriv") !== null;
const canUnshare = linux && root && Bun.spawnSync(["unshare", "-m", "true"]).exitCode === 0;

let folder: string;
let mirror: string;
let home: string;

beforeEach(() => {
  ({ folder, mirror, home } = openPlaces());
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Serves the mirror; of archives only the first bytes, as when a line breaks, if `cut`. */
function serve(cut = false) {
  return Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, request) {
        const path = /^GET (\S+)/.exec(request.toString())?.[1] ?? "";
        const file = join(mirror, path);
        if (path.includes("..") || !existsSync(file)) {
          socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
          return;
        }
        const body = readFileSync(file);
        const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
        const part = cut && path.endsWith(".gz") ? body.subarray(0, 50) : body;
        socket.end(Buffer.concat([Buffer.from(head), part]));
      },
    },
  });
}

describe.skipIf(!linux).each(["curl", "wget"] as const)("over HTTP with %s", (tool) => {
  const missing = Bun.which(tool) === null;
  const run = (url: string, tools: readonly Tool[] = [tool]) =>
    install(join(mirror, "install.sh"), [], {
      env: {
        PATH: toolFolder(folder, tools),
        TMPDIR: folder,
        HUTCH_INSTALL_DIR: join(home, "bin"),
        HUTCH_BASE_URL: url,
      },
    });

  test.skipIf(missing)("installs, and refuses a download that breaks off", async () => {
    await makeMirror(mirror, { signed: false });
    using whole = serve();
    using broken = serve(true);
    const cut = await run(`http://127.0.0.1:${broken.port}`);
    expect(cut).toEqual({ code: 1, said: expect.stringMatching(/cannot fetch|checksum of/) });
    expect(tree(home)).toEqual({});
    expect((await run(`http://127.0.0.1:${whole.port}/`)).code).toBe(0);
    expect(Bun.spawnSync([join(home, "bin/hutch")]).stdout.toString()).toBe(
      `${greeting("1.0.0")}\n`,
    );
    expect((await run(`http://127.0.0.1:${whole.port}/none`)).said).toContain("cannot fetch");
  });
});

test.skipIf(!linux)("without curl and wget it says so", async () => {
  await makeMirror(mirror, { signed: false });
  const { code, said } = await install(join(mirror, "install.sh"), [], {
    env: {
      PATH: toolFolder(folder, []),
      HUTCH_INSTALL_DIR: home,
      HUTCH_BASE_URL: "http://127.0.0.1:9",
    },
  });
  expect({ code, said }).toEqual({
    code: 1,
    said: expect.stringContaining("neither curl nor wget is installed"),
  });
});

describe.skipIf(!canDrop)("as a user without rights", () => {
  const run = (args: readonly string[], env: Record<string, string> = {}) =>
    install(join(mirror, "install.sh"), args, {
      env: { PATH: process.env.PATH ?? "", HOME: home, HUTCH_BASE_URL: `file://${mirror}`, ...env },
      through: asNobody,
    });

  test("installs below the home, with man page and completions, and removes them", async () => {
    await makeMirror(mirror, { signed: false });
    chownSync(home, nobody, nobody);
    expect((await run([])).code).toBe(0);
    const local = tree(join(home, ".local"));
    const store = /^-> (.*)\/hutch$/.exec(local["bin/hutch"] ?? "")?.[1] ?? "";
    expect(store).toStartWith(join(home, ".local/lib/hutch/1.0.0-"));
    expect(local).toMatchObject({
      "share/man/man1/hutch.1": `-> ${store}/share/man/man1/hutch.1`,
      "share/bash-completion/completions/hutch": `-> ${store}/share/bash-completion/completions/hutch`,
      "share/zsh/site-functions/_hutch": `-> ${store}/share/zsh/site-functions/_hutch`,
      "share/fish/vendor_completions.d/hutch.fish": `-> ${store}/share/fish/vendor_completions.d/hutch.fish`,
    });
    expect((await run(["--uninstall"])).code).toBe(0);
    expect(Object.keys(tree(home)).filter((name) => name.includes("hutch"))).toEqual([]);
  });

  test("says that it cannot write, and changes nothing", async () => {
    await makeMirror(mirror, { signed: false });
    const env = { HUTCH_INSTALL_DIR: join(home, "bin") };
    const unmade = await run([], env);
    expect(unmade).toEqual({ code: 1, said: expect.stringContaining("nothing was changed") });
    mkdirSync(join(home, "bin"));
    chmodSync(join(home, "bin"), 0o755);
    const unwritable = await run([], env);
    expect(unwritable).toEqual({ code: 1, said: expect.stringContaining("nothing was changed") });
    expect(tree(home)).toEqual({ "bin/": "" });
    expect(await run(["--service"], env)).toEqual({
      code: 1,
      said: expect.stringContaining("needs root"),
    });
  });
});

describe.skipIf(!canUnshare)("as root", () => {
  /** Runs commands where /usr/local, /etc/systemd and /run/systemd are empty. */
  async function inside(commands: string, mounts = "") {
    const script = join(folder, "inside.sh");
    const covers = ["/usr/local", "/etc/systemd", "/run/systemd"].map(
      (path) => `[ ! -d ${path} ] || mount -t tmpfs none ${path}`,
    );
    const env = `export HUTCH_BASE_URL=file://${mirror} PATH=/usr/sbin:/usr/bin:/sbin:/bin`;
    writeFileSync(script, [...covers, mounts, env, `cd ${mirror}`, commands, ""].join("\n"));
    return await install(script, [], { through: ["unshare", "-m"] });
  }

  test("installs for everybody, below /usr/local", async () => {
    await makeMirror(mirror, { signed: false });
    const { said } = await inside(
      "sh install.sh; hash -r; /usr/local/bin/hutch; find /usr/local -name '*hutch*' | sort",
    );
    expect(said).toContain(`${greeting("1.0.0")}\n`);
    expect(said).toContain("/usr/local/share/man/man1/hutch.1\n");
    expect(said).toMatch(/\/usr\/local\/lib\/hutch\/1\.0\.0-[0-9a-f]{12}\/hutch\n/);
  });

  test("says that a file system takes nothing, and changes nothing", async () => {
    await makeMirror(mirror, { signed: false });
    const ro = "mount -o remount,ro /usr/local";
    const { said } = await inside("sh install.sh; echo code $?", ro);
    expect(said).toContain("code 1\n");
    expect(said).toContain("cannot create /usr/local/bin; nothing was changed\n");
  });

  test.skipIf(Bun.which("systemctl") === null)(
    "writes a unit that systemd takes, and removes it",
    async () => {
      await makeMirror(mirror, { signed: false });
      const unit = "/etc/systemd/system/hutch.service";
      const { said } = await inside(
        [
          "sh install.sh --service --dry-run; ls /etc/systemd",
          "sh install.sh --service; echo code $?",
          `cp ${unit} ${folder}/hutch.service`,
          "sh install.sh --socket; echo socket $?; ls /etc/systemd/system",
          "sh install.sh --uninstall; ls /etc/systemd/system",
        ].join("\n"),
      );
      expect(said).toContain(`would write ${unit}`);
      expect(said).toContain(`wrote ${unit}\n`);
      expect(said).toContain("code 0\n");
      expect(said).toContain("socket 0\nhutch-proxy.service\nhutch.service\nhutch.socket\n");
      for (const name of ["hutch.service", "hutch.socket", "hutch-proxy.service"]) {
        expect(said).toContain(`removed /etc/systemd/system/${name}\n`);
      }
      const text = readFileSync(join(folder, "hutch.service"), "utf8");
      expect(text).toContain("\nExecStart=/usr/local/bin/hutch serve\n");
      expect(text).toContain("\nDynamicUser=yes\n");
      if (Bun.which("systemd-analyze") === null) return;
      const judged = Bun.spawnSync([
        "systemd-analyze",
        "security",
        "--offline=true",
        "--no-pager",
        join(folder, "hutch.service"),
      ]);
      const level = /exposure level for hutch\.service: ([\d.]+)/.exec(
        judged.stdout.toString(),
      )?.[1];
      // Below 5 is "medium" or better; a unit without hardening has 9.6.
      expect(Number(level)).toBeLessThan(3);
    },
  );
});

describe.skipIf(!canDrop || busybox === null)("in a root folder with nothing but busybox", () => {
  /** A root folder as Alpine's: musl's loader, busybox, and a mirror. */
  function makeRoot(): string {
    const place = join(folder, "root");
    for (const name of ["bin", "dev", "etc", "lib", "root", "tmp", "home", "usr/local"]) {
      mkdirSync(join(place, name), { recursive: true });
    }
    chmodSync(join(place, "tmp"), 0o1777);
    chownSync(join(place, "home"), nobody, nobody);
    copyFileSync(busybox ?? "", join(place, "bin/busybox"));
    writeFileSync(join(place, "lib", `ld-musl-${process.arch}.so.1`), "");
    Bun.spawnSync(["mknod", "-m", "666", join(place, "dev/null"), "c", "1", "3"]);
    const made = Bun.spawnSync(["chroot", place, "/bin/busybox", "--install", "-s", "/bin"]);
    if (made.exitCode !== 0)
      throw new Error(`busybox does not run in a root folder: ${made.stderr}`);
    copyFileSync(join(mirror, "install.sh"), join(place, "install.sh"));
    return place;
  }

  const run = (
    place: string,
    args: readonly string[],
    env: Record<string, string>,
    user: readonly string[] = [],
  ) =>
    install("/install.sh", args, {
      env: { PATH: "/bin", ...env },
      // A path, since PATH is the one inside.
      through: [Bun.which("chroot") ?? "", ...user, place],
      shell: ["/bin/sh"],
    });

  test("installs by its wget as root, and not as root", async () => {
    await makeMirror(mirror, { targets: [`${ownPlatform}-musl`, ownPlatform], signed: false });
    using server = serve();
    const env = { HUTCH_BASE_URL: `http://127.0.0.1:${server.port}` };
    const place = makeRoot();
    const { code, said } = await run(place, [], env);
    expect({ code, said }).toEqual({
      code: 0,
      said: expect.stringContaining(`for ${ownPlatform}-musl`),
    });
    const installed = Bun.spawnSync(["chroot", place, "/usr/local/bin/hutch"]);
    expect(installed.stdout.toString()).toBe(`${greeting("1.0.0")}\n`);
    expect((await run(place, ["--uninstall"], env)).code).toBe(0);

    const user = [`--userspec=${nobody}:${nobody}`];
    expect((await run(place, [], { ...env, HOME: "/home" }, user)).code).toBe(0);
    expect(existsSync(join(place, "home/.local/lib/hutch/"))).toBe(true);
    expect((await run(place, ["--service"], env)).said).toContain("needs systemd");
  });

  test("refuses a broken download, and a signature that it cannot check", async () => {
    await makeMirror(mirror, { targets: [`${ownPlatform}-musl`] });
    using whole = serve();
    using broken = serve(true);
    const place = makeRoot();
    const before = tree(place);
    const refused = await run(place, [], { HUTCH_BASE_URL: `http://127.0.0.1:${whole.port}` });
    expect(refused).toEqual({ code: 1, said: expect.stringContaining("apk add openssl") });
    const cut = await run(place, ["--no-signature"], {
      HUTCH_BASE_URL: `http://127.0.0.1:${broken.port}`,
    });
    expect(cut).toEqual({ code: 1, said: expect.stringMatching(/cannot fetch|checksum of/) });
    expect(tree(place)).toEqual(before);
  });
});

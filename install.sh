#!/bin/sh
# Installs hutch: fetches an archive of a release with its checksums and their signature, checks them,
# and puts the new version in place in one step, beside the one before. docs/install.md tells more.
# Nothing runs before the last line has arrived whole, so a cut download of this file does nothing. It is
# one file, longer than others, because it is fetched alone and piped into a shell.
set -eu

# `bun build.ts --release` puts these in: minisign's public key of the release, and what it needs.
public_key=''
needed_glibc=''

usage() {
  cat <<'USAGE'
Usage: install.sh [FLAGS]

  --dry-run        say what would be done, change nothing
  --service        also run hutch as a service of systemd (root)
  --socket         the same, started by the first connection and stopped when nobody uses it
  --gpu KIND       cuda, vulkan, hip, metal or none, instead of what is found
  --rollback       go back to the version before
  --uninstall      remove hutch; models stay
  --no-signature   install although the signature cannot be checked (checksums always are)
  --help           this text

  HUTCH_BASE_URL     folder with SHA256SUMS and archives (http://, https:// or file://); no default yet
  HUTCH_VERSION      version to install (default: the newest there)
  HUTCH_INSTALL_DIR  folder of the executable (default: /usr/local/bin as root, else ~/.local/bin)
  HUTCH_PUBLIC_KEY   minisign key that signs the checksums, instead of the one in this script
USAGE
}

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "hutch install: $*"
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# --- what this machine is -------------------------------------------------------------------------

# Sets platform, libc_version and, on x64, refuses processors that the runtime cannot use.
find_platform() {
  libc_version=''
  case "$(uname -s)" in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) fail "this script knows Linux and macOS, not $(uname -s); unpack an archive of the release by hand" ;;
  esac
  case "$(uname -m)" in
    x86_64 | amd64) arch=x64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) fail "there is no hutch for the processor $(uname -m)" ;;
  esac
  platform=$os-$arch
  if [ "$os" = darwin ]; then
    # A shell that is translated for an Intel processor says x86_64 on Apple's own.
    if [ "$(sysctl -n hw.optional.arm64 2>/dev/null || echo 0)" = 1 ]; then platform=darwin-arm64; fi
    return 0
  fi
  if has getconf && libc_version=$(getconf GNU_LIBC_VERSION 2>/dev/null); then
    libc_version=${libc_version#glibc }
  elif ls /lib/ld-musl-* >/dev/null 2>&1; then
    platform=$platform-musl
  fi
  if [ "$arch" = x64 ] && [ -r /proc/cpuinfo ] && ! grep -qw sse4_2 /proc/cpuinfo; then
    fail "this processor has no SSE 4.2, which hutch needs"
  fi
}

# Kinds of GPU backends that this machine may use, best first.
find_gpus() {
  case "$gpu" in
    none) return 0 ;;
    '') ;;
    *)
      printf '%s\n' "$gpu"
      return 0
      ;;
  esac
  case "$platform" in
    darwin-*) echo metal ;;
    *)
      if [ -e /dev/nvidiactl ] || has nvidia-smi; then echo cuda; fi
      if [ -e /dev/kfd ]; then echo hip; fi
      if ls /dev/dri/renderD* >/dev/null 2>&1; then echo vulkan; fi
      ;;
  esac
}

# A is a version no newer than B: 2.31 2.36
no_newer() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)" = "$1" ]; }

# --- fetching and checking ------------------------------------------------------------------------

fetch() { # URL FILE
  case "$1" in
    file://*) cp "${1#file://}" "$2" ;;
    *)
      if has curl; then
        # A redirect must not lead away from https.
        case "$1" in https://*) only='=https' ;; *) only='=http,https' ;; esac
        curl -fsSL --proto "$only" --retry 3 -o "$2" "$1"
      else
        # GNU's tries twenty times; busybox's knows no such flag.
        if wget --version 2>/dev/null | grep -q GNU; then
          wget -q --tries=3 --timeout=60 -O "$2" "$1"
        else
          wget -q -O "$2" "$1"
        fi
      fi
      ;;
  esac
}

sha256() {
  if has sha256sum; then
    sha256sum "$1" | cut -d' ' -f1
  elif has shasum; then
    shasum -a 256 "$1" | cut -d' ' -f1
  elif has openssl; then
    openssl dgst -sha256 -r "$1" | cut -d' ' -f1
  else
    fail "none of sha256sum, shasum, openssl is installed; refusing to install unchecked files"
  fi
}

# Bytes of standard input: FIRST (from 1) COUNT
bytes() { tail -c "+$1" | head -c "$2"; }
hex() { od -An -tx1 | tr -d ' \n'; }

# Verifies by openssl 3 what minisign would: Ed25519 over BLAKE2b of the file, and over the comment.
openssl_verifies() { # FILE SIGNATURE FOLDER
  printf '%s' "$key" | openssl base64 -d -A >"$3/public" 2>/dev/null || return 1
  sed -n 2p "$2" | tr -d '\r\n' | openssl base64 -d -A >"$3/signature" 2>/dev/null || return 1
  sed -n 4p "$2" | tr -d '\r\n' | openssl base64 -d -A >"$3/whole.sig" 2>/dev/null || return 1
  [ "$(bytes 1 2 <"$3/public")" = Ed ] && [ "$(bytes 1 2 <"$3/signature")" = ED ] || return 1
  [ "$(bytes 3 8 <"$3/public" | hex)" = "$(bytes 3 8 <"$3/signature" | hex)" ] || return 1
  # DER of an Ed25519 public key (RFC 8410).
  printf '\060\052\060\005\006\003\053\145\160\003\041\000' >"$3/public.der"
  bytes 11 32 <"$3/public" >>"$3/public.der"
  bytes 11 64 <"$3/signature" >"$3/file.sig"
  openssl dgst -blake2b512 -binary "$1" >"$3/file"
  {
    cat "$3/file.sig"
    sed -n '3s/^trusted comment: //p' "$2" | tr -d '\r\n'
  } >"$3/whole"
  for part in file whole; do
    openssl pkeyutl -verify -pubin -keyform DER -inkey "$3/public.der" -rawin \
      -in "$3/$part" -sigfile "$3/$part.sig" >/dev/null 2>&1 || return 1
  done
}

# The checksums must be signed by the key; without a key, or where nothing can check it, that is said.
check_signature() { # FOLDER with SHA256SUMS
  key=${HUTCH_PUBLIC_KEY:-$public_key}
  if [ -z "$key" ]; then
    say "note: this install.sh carries no public key; checksums are checked, but nothing vouches for them"
    return 0
  fi
  if [ "$signature" = no ]; then
    say "note: the signature is not checked, as asked for"
    return 0
  fi
  fetch "$place/SHA256SUMS.minisig" "$1/SHA256SUMS.minisig" ||
    fail "cannot fetch $place/SHA256SUMS.minisig; nothing was changed"
  if has minisign; then
    minisign -V -q -P "$key" -m "$1/SHA256SUMS" -x "$1/SHA256SUMS.minisig" >/dev/null 2>&1 ||
      fail "the signature of SHA256SUMS is wrong; nothing was changed"
    return 0
  fi
  case "$(openssl version 2>/dev/null || true)" in
    'OpenSSL '[3-9]*)
      openssl_verifies "$1/SHA256SUMS" "$1/SHA256SUMS.minisig" "$1" ||
        fail "the signature of SHA256SUMS is wrong; nothing was changed"
      ;;
    *)
      fail "nothing here can check the signature: install minisign or openssl 3 (apt-get install openssl," \
        "apk add openssl), or give --no-signature to trust the checksums alone; nothing was changed"
      ;;
  esac
}

# Names in SHA256SUMS: of files FIRST…LAST, what is between.
listed() { # FIRST LAST
  while read -r _ name; do
    name=${name#\*}
    case "$name" in
      "$1"*"$2")
        name=${name#"$1"}
        printf '%s\n' "${name%"$2"}"
        ;;
    esac
  done <"$sums" | grep -x '[0-9][0-9A-Za-z.+-]*' || true
}

# The newest of some versions, finished ones first.
newest() {
  sort -t. -k1,1n -k2,2n -k3,3n >"$scratch/versions"
  { grep -v -- - "$scratch/versions" || cat "$scratch/versions"; } | tail -n 1
}

# Sets place, sums, version, archive and client: what is to be installed.
choose_archive() {
  case "$base" in
    http://* | https://* | file://*) ;;
    *) fail "HUTCH_BASE_URL must begin with http://, https:// or file://, not: $base" ;;
  esac
  case "$base" in
    http*) has curl || has wget || fail "neither curl nor wget is installed" ;;
  esac
  sums=$scratch/SHA256SUMS
  place=$base
  wanted=${HUTCH_VERSION:-}
  wanted=${wanted#v}
  # A mirror may keep each version in a folder of its own.
  if [ -n "$wanted" ] && fetch "$base/$wanted/SHA256SUMS" "$sums" 2>/dev/null; then
    place=$base/$wanted
  else
    fetch "$base/SHA256SUMS" "$sums" || fail "cannot fetch $base/SHA256SUMS"
  fi
  check_signature "$scratch"
  client=no
  versions=$(listed hutch- "-$platform.tar.gz")
  if [ -z "$versions" ]; then
    versions=$(listed hutch- "-$platform-client.tar.gz")
    [ -z "$versions" ] || client=yes
  fi
  [ -n "$versions" ] || fail "$place has no hutch for $platform"
  version=$(printf '%s\n' "$versions" | newest)
  if [ -n "$wanted" ]; then
    printf '%s\n' "$versions" | grep -qxF -- "$wanted" || fail "$place has no hutch $wanted for $platform"
    version=$wanted
  fi
  folder=hutch-$version-$platform
  archive=$folder.tar.gz
  [ "$client" = no ] || archive=$folder-client.tar.gz
  if [ "$client" = no ] && [ -n "$libc_version" ] && [ -n "$needed_glibc" ] &&
    ! no_newer "$needed_glibc" "$libc_version"; then
    fail "hutch needs glibc $needed_glibc or newer, this system has $libc_version"
  fi
}

sum_of() { awk -v name="$1" '$2 == name || $2 == "*" name { print $1; exit }' "$sums"; }

# Sets gpu_archive: the first backend of this machine's that the release has.
choose_gpu() {
  gpu_archive=''
  [ "$client" = no ] || return 0
  for kind in $(find_gpus); do
    if [ -n "$(sum_of "$folder-$kind.tar.gz")" ]; then
      gpu_archive=$folder-$kind.tar.gz
      return 0
    fi
  done
  case "$gpu" in
    '' | none) ;;
    *) fail "$place has no GPU backend $gpu for $platform; nothing was changed" ;;
  esac
}

# Fetches an archive, compares its checksum, unpacks it below the working folder.
take() { # ARCHIVE
  fetch "$place/$1" "$work/$1" || fail "cannot fetch $place/$1; nothing was changed"
  actual=$(sha256 "$work/$1")
  [ "$actual" = "$(sum_of "$1")" ] ||
    fail "checksum of $1 is $actual, expected $(sum_of "$1"); nothing was changed"
  if tar -tzf "$work/$1" | grep -v "^$folder/" | grep -q . || tar -tzf "$work/$1" | grep -q '\.\.'; then
    fail "$1 has files outside of $folder; nothing was changed"
  fi
  (cd "$work" && tar -xzof "$1") || fail "cannot unpack $1; nothing was changed"
}

# --- putting it in place --------------------------------------------------------------------------

# Makes a folder and its parents, and remembers which, so that a failure leaves none behind.
make_folder() {
  [ -d "$1" ] && return 0
  make_folder "$(dirname "$1")"
  if mkdir "$1" 2>/dev/null; then
    made="$1
$made"
  else
    # Another installation may have made it meanwhile.
    [ -d "$1" ] || fail "cannot create $1; nothing was changed"
  fi
}

# One at a time works on the store. A link is made in one step, and tells by whom.
lock_store() {
  if ! ln -s "$$" "$store/.lock" 2>/dev/null; then
    holder=$(readlink "$store/.lock" 2>/dev/null) || fail "cannot write to $store; nothing was changed"
    ! kill -0 "$holder" 2>/dev/null ||
      fail "another install.sh is at work in $store (process $holder); nothing was changed"
    rm -f "$store/.lock"
    ln -s "$$" "$store/.lock" 2>/dev/null || fail "cannot write to $store; nothing was changed"
  fi
  locked=yes
}

clean_up() {
  [ -z "$work" ] || rm -rf "$work"
  [ "$locked" = no ] || rm -f "$store/.lock"
  [ -z "$scratch" ] || rm -rf "$scratch"
  # Empty folders only: what was installed stays.
  printf '%s' "$made" | while IFS= read -r one; do rmdir "$one" 2>/dev/null || true; done
}

# Points a link elsewhere in one step: who opens it sees the old file or the new one.
point() { # LINK TARGET
  if ln -s "$2" "$1.$$" 2>/dev/null && mv -f "$1.$$" "$1" 2>/dev/null; then return 0; fi
  rm -f "$1.$$" 2>/dev/null || true
  return 1
}

# The installed version's folder in the store, empty where there is none of ours.
current() {
  target=$(readlink "$bin/hutch" 2>/dev/null) || return 0
  case "$target" in "$store"/*/hutch) basename "$(dirname "$target")" ;; esac
}

# Man page and completions, where people's shells look for them.
link_papers() { # VERSION FOLDER
  [ -n "$share" ] || return 0
  for paper in man/man1/hutch.1 bash-completion/completions/hutch zsh/site-functions/_hutch \
    fish/vendor_completions.d/hutch.fish; do
    there=$share/$paper
    if [ -e "$there" ] && [ ! -L "$there" ]; then
      say "note: $there is not ours, it stays"
    elif mkdir -p "$(dirname "$there")" 2>/dev/null; then
      point "$there" "$store/$1/share/$paper" || say "note: cannot write $there"
    fi
  done
}

# Makes a version the one that runs, and remembers the one before.
switch_to() { # VERSION FOLDER
  before=$(current)
  if [ -z "$before" ] && [ -e "$bin/hutch" ]; then
    [ -f "$bin/hutch" ] || fail "$bin/hutch is no file; nothing was changed"
    before=by-hand
    mkdir -p "$store/$before"
    cp -p "$bin/hutch" "$store/$before/hutch"
  fi
  if [ -n "$before" ] && [ "$before" != "$1" ]; then
    printf '%s\n' "$before" >"$store/.previous.$$" && mv -f "$store/.previous.$$" "$store/previous"
  fi
  point "$bin/hutch" "$store/$1/hutch" || fail "cannot write $bin/hutch; nothing was changed"
  link_papers "$1"
}

# Versions other than the installed one and the one before, and what killed installations left.
remove_old() {
  for left in "$store"/.new.*; do
    [ "$left" = "$work" ] || rm -rf "$left"
  done
  for old in "$store"/*/; do
    name=$(basename "$old")
    [ "$name" = "$(current)" ] || [ "$name" = "$(cat "$store/previous" 2>/dev/null)" ] || rm -rf "$old"
  done
}

install_hutch() {
  base=${HUTCH_BASE_URL:-}
  base=${base%/}
  [ -n "$base" ] || fail "set HUTCH_BASE_URL to the folder of a release; hutch has no public place yet"
  find_platform
  choose_archive
  choose_gpu
  id=$version-$(sum_of "$archive" | cut -c1-12)
  say "hutch $version for $platform, from $place${gpu_archive:+, with $gpu_archive}"
  [ "$client" = no ] ||
    say "note: this release runs no models on $platform: it is a client of other servers, and serves with --fake"
  if [ "$dry" = yes ]; then
    say "would install $archive as $store/$id and link $bin/hutch to it; nothing was changed"
    [ "$service" = no ] || say "would write $unit$(also_socket) and start the service"
    return 0
  fi
  make_folder "$bin"
  make_folder "$store"
  [ ! -d "$bin/hutch" ] || fail "$bin/hutch is a folder; nothing was changed"
  [ -w "$bin" ] || fail "cannot write to $bin; nothing was changed"
  lock_store
  work=$(mktemp -d "$store/.new.XXXXXX" 2>/dev/null) || fail "cannot write to $store; nothing was changed"
  take "$archive"
  [ -z "$gpu_archive" ] || take "$gpu_archive"
  "$work/$folder/hutch" completion bash >/dev/null 2>"$scratch/words" ||
    fail "hutch does not run here ($(head -n 1 "$scratch/words"))$(musl_hint); nothing was changed"
  chmod -R go=u-w "$work/$folder"
  [ "$service" = no ] || make_units
  if [ ! -d "$store/$id" ]; then
    mv "$work/$folder" "$store/$id"
  else
    # The same version again may have been damaged; it may also be what runs.
    mv -f "$work/$folder/hutch" "$store/$id/hutch"
    for library in "$work/$folder"/*ggml-*; do [ ! -e "$library" ] || mv -f "$library" "$store/$id/"; done
  fi
  switch_to "$id"
  remove_old
  made=''
  say "installed: $bin/hutch ($version)"
  [ ! -f "$store/previous" ] || say "the version before is kept: install.sh --rollback goes back to it"
  [ "$service" = no ] || start_units
  tell_more
}

musl_hint() {
  case "$platform" in *-musl) printf '; on Alpine: apk add libstdc++' ;; esac
}

tell_more() {
  if [ "$service" = no ] && [ -f "$unit" ] && [ "$(id -u)" = 0 ]; then
    say "a running service has the version before until: systemctl restart hutch"
  fi
  case ":${PATH:-}:" in
    *":$bin:"*) ;;
    *) say "note: $bin is not in PATH; add to your profile: export PATH=\"$bin:\$PATH\"" ;;
  esac
  if [ "$client" = no ]; then say 'try: hutch run guide "What can you do?"'; fi
}

# --- the service ----------------------------------------------------------------------------------

check_service() {
  [ "$(id -u)" = 0 ] || fail "--service needs root"
  has systemctl || fail "--service needs systemd, whose systemctl is not here"
  if [ "$socket" = yes ]; then
    has systemd-notify || fail "--socket needs systemd-notify, which is not here; --service does without"
    find_proxy
  fi
  case "$bin/" in
    *[!A-Za-z0-9_./-]*) fail "--service: systemd would take $bin for something else; set another HUTCH_INSTALL_DIR" ;;
    /home/* | /root/*) fail "--service: a service cannot see $bin; set HUTCH_INSTALL_DIR outside of homes" ;;
  esac
}

# The server's runtime (Bun 1.4.5) cannot serve on a socket that it is handed: systemd's own proxy takes it.
find_proxy() {
  for proxy in /usr/lib/systemd/systemd-socket-proxyd /lib/systemd/systemd-socket-proxyd; do
    [ ! -x "$proxy" ] || return 0
  done
  fail "--socket needs systemd-socket-proxyd, which is not here; --service does without"
}

also_socket() { [ "$socket" = no ] || printf ', hutch.socket and hutch-proxy.service beside it'; }

unit_head='# Written by hutch'"'"'s install.sh, which replaces it; put changes into FILE.d/, or /etc/default/hutch.'
head_of() { printf '%s\n' "$unit_head" | sed "s/FILE/$1/"; }

# A user of its own that exists while it runs (DynamicUser), and no more rights than it needs. It writes
# to /var/lib/hutch and /var/cache/hutch alone. Memory that is written and run is what a JavaScript engine compiles into.
unit_text() {
  cat <<UNIT
$(head_of hutch.service)
[Unit]
Description=hutch, a server of language models
After=network-online.target
Wants=network-online.target
$([ "$socket" = no ] || echo StopWhenUnneeded=yes)

[Service]
$(start_lines)
EnvironmentFile=-/etc/default/hutch
Environment=HOME=/var/lib/hutch XDG_CACHE_HOME=/var/cache/hutch
DynamicUser=yes
StateDirectory=hutch
CacheDirectory=hutch
WorkingDirectory=/var/lib/hutch
UMask=0077
Restart=on-failure
RestartSec=2
TimeoutStopSec=60
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
$(hardening)
$(device_lines)
$([ "$socket" = yes ] || printf '\n[Install]\nWantedBy=multi-user.target\n')
UNIT
}

hardening() {
  cat <<'LINES'
LimitNOFILE=65536
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
LINES
}

# The server says by systemd-notify that it listens: what waits for it waits for that. Behind a socket its
# address is the one that the proxy connects to, whatever /etc/default/hutch says.
start_lines() {
  if has systemd-notify; then printf 'Type=notify\nNotifyAccess=all\n'; fi
  if [ "$socket" = yes ]; then
    echo "ExecStart=$(command -v env) HUTCH_HOST=$behind $bin/hutch serve"
  else
    echo "ExecStart=$bin/hutch serve"
  fi
}

socket_text() {
  cat <<UNIT
$(head_of hutch.socket)
[Unit]
Description=Socket of hutch

[Socket]
ListenStream=127.0.0.1:11434
Service=hutch-proxy.service

[Install]
WantedBy=sockets.target
UNIT
}

# Ends with the server, so that a connection starts both again; ends when nobody has been connected for a while.
proxy_text() {
  cat <<UNIT
$(head_of hutch-proxy.service)
[Unit]
Description=Connections of hutch
BindsTo=hutch.service
After=hutch.service

[Service]
ExecStart=$proxy --exit-idle-time=15min --connections-max=4096 $behind
DynamicUser=yes
PrivateDevices=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
$(hardening)
UNIT
}

# Without a GPU the service sees no devices; with one it may use those of graphics.
device_lines() {
  if [ -z "$gpu_archive" ]; then
    echo PrivateDevices=yes
    return 0
  fi
  groups=''
  for group in video render; do
    ! grep -q "^$group:" /etc/group || groups="$groups $group"
  done
  [ -z "$groups" ] || echo "SupplementaryGroups=${groups# }"
}

make_units() {
  unit_text >"$work/hutch.service"
  if [ "$socket" = yes ]; then
    socket_text >"$work/hutch.socket"
    proxy_text >"$work/hutch-proxy.service"
  fi
  has systemd-analyze || return 0
  mkdir "$scratch/units"
  for text in $units; do
    # What runs is not in place yet: that it is missing is no fault of the text.
    sed "s|^ExecStart=.*|ExecStart=/bin/true|" "$work/$text" >"$scratch/units/$text"
  done
  for text in $units; do
    SYSTEMD_UNIT_PATH="$scratch/units:" systemd-analyze verify "$scratch/units/$text" >"$scratch/words" 2>&1 ||
      fail "systemd does not take $text: $(head -n 1 "$scratch/words"); nothing was changed"
  done
}

start_units() {
  mkdir -p "$unit_folder"
  [ "$socket" = yes ] || remove_units hutch.socket hutch-proxy.service
  for text in $units; do
    new=$unit_folder/$text.$$
    if ! { cp "$work/$text" "$new" && chmod 644 "$new" && mv -f "$new" "$unit_folder/$text"; }; then
      fail "cannot write $unit_folder/$text; hutch itself is installed"
    fi
    say "wrote $unit_folder/$text"
  done
  started=hutch.service
  [ "$socket" = no ] || started=hutch.socket
  if [ ! -d /run/systemd/system ]; then
    say "systemd is not running here: systemctl enable --now $started starts the service where it is"
    return 0
  fi
  systemctl daemon-reload
  if [ "$socket" = yes ]; then
    # Whoever has the socket's address lets go of it.
    systemctl disable hutch.service >/dev/null 2>&1 || true
    systemctl stop hutch.socket hutch-proxy.service hutch.service
  fi
  systemctl enable "$started" >/dev/null 2>&1 || fail "systemctl enable $started failed"
  systemctl restart "$started" || fail "the service does not start: journalctl -u hutch tells why"
  if [ "$socket" = yes ]; then
    say "systemd listens on 127.0.0.1:11434 and starts hutch at the first connection: systemctl status hutch.socket"
  else
    say "the service runs: systemctl status hutch"
  fi
}

# Removes those of these units that this script has written.
remove_units() { # FILE…
  [ "$(id -u)" = 0 ] || return 0
  for text in "$@"; do
    file=$unit_folder/$text
    if [ ! -f "$file" ] || ! grep -q "^# Written by hutch's install.sh" "$file"; then continue; fi
    if [ -d /run/systemd/system ]; then systemctl disable --now "$text" >/dev/null 2>&1 || true; fi
    rm -f "$file"
    say "removed $file"
    [ "$text" != hutch.service ] || say "the service's models in /var/lib/hutch stay"
  done
  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
}

# --- the other ways to call it --------------------------------------------------------------------

roll_back() {
  previous=$(cat "$store/previous" 2>/dev/null) || fail "there is no version before to go back to"
  [ -f "$store/$previous/hutch" ] || fail "the version before ($previous) is gone"
  if [ "$dry" = yes ]; then
    say "would link $bin/hutch to $store/$previous; nothing was changed"
    return 0
  fi
  [ -w "$bin" ] || fail "cannot write to $bin; nothing was changed"
  lock_store
  switch_to "$previous"
  say "went back to $previous; install.sh --rollback again undoes it"
}

uninstall() {
  if [ -z "$(current)" ] && [ ! -d "$store" ]; then
    fail "nothing to remove: $bin/hutch was not installed by this script"
  fi
  if [ "$dry" = yes ]; then
    say "would remove $bin/hutch and $store; nothing was changed"
    return 0
  fi
  [ -w "$bin" ] || fail "cannot write to $bin; nothing was changed"
  [ ! -d "$store" ] || lock_store
  remove_units hutch.socket hutch-proxy.service hutch.service
  if [ -n "$share" ]; then
    for paper in "$share/man/man1/hutch.1" "$share/bash-completion/completions/hutch" \
      "$share/zsh/site-functions/_hutch" "$share/fish/vendor_completions.d/hutch.fish"; do
      case "$(readlink "$paper" 2>/dev/null || true)" in "$store"/*) rm -f "$paper" ;; esac
    done
  fi
  [ -z "$(current)" ] || rm -f "$bin/hutch"
  rm -rf "$store"
  say "removed $bin/hutch and $store; models in ~/.ollama/models stay"
}

# Sets bin, store, share: where everything goes.
find_places() {
  share=''
  if [ -n "${HUTCH_INSTALL_DIR:-}" ]; then
    bin=${HUTCH_INSTALL_DIR%/}
    case "$bin" in /*) ;; *) bin=$PWD/$bin ;; esac
    store=$bin/.hutch
  else
    if [ "$(id -u)" = 0 ]; then
      prefix=/usr/local
    else
      prefix=${HOME:?HOME is not set; set HUTCH_INSTALL_DIR}/.local
    fi
    bin=$prefix/bin
    store=$prefix/lib/hutch
    share=$prefix/share
  fi
  unit_folder=/etc/systemd/system
  unit=$unit_folder/hutch.service
}

main() {
  dry=no
  service=no
  socket=no
  units=hutch.service
  # Where the server listens when a socket stands before it.
  behind=127.0.0.1:11433
  signature=yes
  action=install_hutch
  gpu=''
  while [ $# -gt 0 ]; do
    case "$1" in
      --dry-run) dry=yes ;;
      --service) service=yes ;;
      --socket)
        service=yes
        socket=yes
        units='hutch.service hutch.socket hutch-proxy.service'
        ;;
      --no-signature) signature=no ;;
      --rollback) action=roll_back ;;
      --uninstall) action=uninstall ;;
      --gpu)
        [ $# -gt 1 ] || fail "--gpu needs a kind: cuda, vulkan, hip, metal or none"
        shift
        gpu=$1
        ;;
      --help | -h)
        usage
        return 0
        ;;
      *)
        usage >&2
        fail "unknown argument: $1"
        ;;
    esac
    shift
  done
  made=''
  locked=no
  work=''
  scratch=''
  umask 022
  find_places
  [ "$service" = no ] || check_service
  trap clean_up EXIT
  trap 'exit 1' HUP INT TERM
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/hutch-install.XXXXXX") || fail "cannot write to ${TMPDIR:-/tmp}"
  "$action"
}

{ main "$@"; }

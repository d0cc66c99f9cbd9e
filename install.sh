#!/bin/sh
# Installs the hutch executable: fetches it with its SHA256SUMS from HUTCH_BASE_URL (http, https or
# file), checks it, and moves it into place in one step. Nothing runs before the last line of this
# file has arrived, so a cut download does nothing.
set -eu

public_key=''
needed_glibc=''

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "hutch install: $*"
  exit 1
}

usage() {
  cat <<'USAGE'
Usage: install.sh [--dry-run] [--uninstall] [--help]

  HUTCH_BASE_URL     where hutch-<os>-<arch> and SHA256SUMS lie (http://, https:// or file://)
  HUTCH_INSTALL_DIR  target folder (default: /usr/local/bin as root, else ~/.local/bin)
USAGE
}

platform() {
  case "$(uname -s)" in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) fail "no executable for $(uname -s)" ;;
  esac
  case "$(uname -m)" in
    x86_64 | amd64) arch=x64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) fail "no executable for the processor $(uname -m)" ;;
  esac
  printf 'hutch-%s-%s' "$os" "$arch"
}

fetch() { # URL FILE
  case "$1" in
    file://*) cp "${1#file://}" "$2" ;;
    http://* | https://*)
      if command -v curl >/dev/null 2>&1; then
        curl -fsSL --retry 3 -o "$2" "$1"
      elif command -v wget >/dev/null 2>&1; then
        wget -q -O "$2" "$1"
      else
        fail "neither curl nor wget is installed"
      fi
      ;;
    *) fail "HUTCH_BASE_URL must begin with http://, https:// or file://, got: $1" ;;
  esac
}

sha256() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum "$1" | cut -d' ' -f1
  elif command -v shasum >/dev/null 2>&1; then
    shasum -a 256 "$1" | cut -d' ' -f1
  else
    fail "neither sha256sum nor shasum is installed; refusing to install an unchecked file"
  fi
}

main() {
  dry=no
  remove=no
  for argument in "$@"; do
    case "$argument" in
      --dry-run) dry=yes ;;
      --uninstall) remove=yes ;;
      --help | -h)
        usage
        return 0
        ;;
      *)
        usage >&2
        fail "unknown argument: $argument"
        ;;
    esac
  done

  if [ -n "${HUTCH_INSTALL_DIR:-}" ]; then
    folder=$HUTCH_INSTALL_DIR
  elif [ "$(id -u)" = 0 ]; then
    folder=/usr/local/bin
  else
    folder=${HOME:?HOME is not set; set HUTCH_INSTALL_DIR}/.local/bin
  fi

  if [ "$remove" = yes ]; then
    [ -e "$folder/hutch" ] || fail "nothing to remove: $folder/hutch does not exist"
    [ "$dry" = yes ] || rm -f "$folder/hutch"
    say "removed $folder/hutch (models in ~/.ollama/models are kept)"
    return 0
  fi

  base=${HUTCH_BASE_URL:-}
  [ -n "$base" ] || fail "set HUTCH_BASE_URL to the place that holds the release files; there is no default yet"
  name=$(platform)
  say "installing $name from $base into $folder"
  [ "$dry" = no ] || return 0

  mkdir -p "$folder" || fail "cannot create $folder"
  # Beside the target, so that the last step is a rename within one file system.
  work=$(mktemp -d "$folder/.hutch-install.XXXXXX") || fail "cannot write to $folder"
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM
  fetch "$base/SHA256SUMS" "$work/SHA256SUMS" || fail "cannot fetch $base/SHA256SUMS"
  fetch "$base/$name" "$work/hutch" || fail "cannot fetch $base/$name"
  wanted=$(awk -v name="$name" '$2 == name || $2 == "*" name { print $1 }' "$work/SHA256SUMS")
  [ -n "$wanted" ] || fail "SHA256SUMS does not name $name"
  actual=$(sha256 "$work/hutch")
  [ "$wanted" = "$actual" ] || fail "checksum of $name is $actual, expected $wanted; nothing was changed"
  chmod 755 "$work/hutch"
  version=$("$work/hutch" --version 2>/dev/null) || fail "the fetched executable does not run on this system"
  mv -f "$work/hutch" "$folder/hutch"
  say "installed: $folder/hutch ($version)"
  case ":${PATH:-}:" in
    *":$folder:"*) ;;
    *) say "note: $folder is not in PATH; add it or call $folder/hutch" ;;
  esac
  say "try: hutch run guide \"What can you do?\""
}

main "$@"

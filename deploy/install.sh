#!/bin/sh
# Installs oxbatch from a release archive, without root: checks the archive's SHA-256 sum and copies the program, its
# manual pages and its completions.
#
#   ./install.sh oxbatch-0.2.0-x86_64-linux.tar.gz                  # into ~/.local, or into /usr/local for root
#   ./install.sh --prefix DIR oxbatch-0.2.0-x86_64-linux.tar.gz
#   ./install.sh --from https://example.org/releases/0.2.0 oxbatch-0.2.0-x86_64-linux.tar.gz
#
# The file SHA256SUMS must stand beside the archive, or at the address.
set -eu

fail() { printf 'install.sh: %s\n' "$1" >&2; exit 1; }

prefix="" from="" archive=""
while [ $# -gt 0 ]; do
    case "$1" in
        --prefix) [ $# -ge 2 ] || fail "--prefix needs a folder"; prefix="$2"; shift ;;
        --from) [ $# -ge 2 ] || fail "--from needs an address"; from="${2%/}"; shift ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) fail "unknown option '$1'" ;;
        *) [ -z "$archive" ] || fail "one archive at a time"; archive="$1" ;;
    esac
    shift
done
[ -n "$archive" ] || fail "name the release archive, such as oxbatch-0.2.0-x86_64-linux.tar.gz"

if [ -z "$prefix" ]; then
    if [ "$(id -u)" = 0 ]; then prefix=/usr/local; else prefix="${HOME:?}/.local"; fi
fi

case "$(uname -s)-$(uname -m)-$archive" in
    Linux-x86_64-*x86_64-linux.tar.gz | Linux-aarch64-*aarch64-linux.tar.gz) ;;
    *-linux.tar.gz) fail "'$archive' is not for this machine ($(uname -s) $(uname -m))" ;;
    *) fail "'$archive' is no release archive of oxbatch" ;;
esac

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
name="$(basename "$archive")"
if [ -n "$from" ]; then
    for file in "$name" SHA256SUMS; do
        if command -v curl >/dev/null; then curl -fsSL -o "$work/$file" "$from/$file" || fail "cannot get $from/$file"
        elif command -v wget >/dev/null; then wget -q -O "$work/$file" "$from/$file" || fail "cannot get $from/$file"
        else fail "curl or wget is needed for --from"
        fi
    done
else
    [ -f "$archive" ] || fail "there is no file '$archive'"
    sums="$(dirname "$archive")/SHA256SUMS"
    [ -f "$sums" ] || fail "there is no file '$sums', so the archive cannot be checked"
    cp "$archive" "$sums" "$work/"
fi

cd "$work"
grep -F "  $name" SHA256SUMS >sum || fail "SHA256SUMS does not name '$name'"
sha256sum -c sum >/dev/null 2>&1 || fail "'$name' is damaged or was changed: its SHA-256 sum is not the one in SHA256SUMS"
tar -xzf "$name"
folder="${name%.tar.gz}"
[ -x "$folder/bin/oxbatch" ] || fail "'$name' is no release archive of oxbatch"

umask 022
mkdir -p "$prefix/bin" "$prefix/share/man/man1" "$prefix/share/bash-completion/completions" \
    "$prefix/share/zsh/site-functions" "$prefix/share/fish/vendor_completions.d" || fail "'$prefix' cannot be written"
# Under another name first: a program that runs is replaced whole, or not at all.
cp "$folder/bin/oxbatch" "$prefix/bin/.oxbatch.new"
mv -f "$prefix/bin/.oxbatch.new" "$prefix/bin/oxbatch"
cp "$folder"/share/man/man1/*.1 "$prefix/share/man/man1/"
cp "$folder/share/completions/oxbatch.bash" "$prefix/share/bash-completion/completions/oxbatch"
cp "$folder/share/completions/_oxbatch" "$prefix/share/zsh/site-functions/_oxbatch"
cp "$folder/share/completions/oxbatch.fish" "$prefix/share/fish/vendor_completions.d/oxbatch.fish"

"$prefix/bin/oxbatch" --version
case ":$PATH:" in
    *":$prefix/bin:"*) ;;
    *) printf 'add it to your path: export PATH="%s/bin:$PATH"\n' "$prefix" ;;
esac

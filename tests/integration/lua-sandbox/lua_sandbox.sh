#!/bin/bash
# Lua data outlives its process: built, resumed, saved again, cloned 100 times.
# SPDX-License-Identifier: Apache-2.0
#
# lua_sandbox.sh <the program> <its scripts' folder>
set -euo pipefail
program=$1 scripts=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
store=$work/store

fail() {
	echo "lua_sandbox.sh: $*" >&2
	exit 1
}

# expect <text> <file>: the file has the text.
expect() {
	grep -qF -- "$1" "$2" || { cat "$2"; fail "no \"$1\" in the output"; }
}

# figure <word> <file>: the number behind the word, without its fraction.
figure() {
	sed -n "s/^ *$1 *\([0-9]*\)\..*/\1/p" "$2" | head -1
}

"$program" build "$store" first "$scripts/build.lua" >"$work/build"
[ "$(figure stored "$work/build")" -ge 64 ] || fail "less than 64 MiB stored"

"$program" resume "$store" first "$scripts/resume.lua" --save second \
	>"$work/resume"
expect "worker went on at 21000" "$work/resume"
expect "42200 documents now" "$work/resume"
memory=$(figure memory "$work/resume")
stored=$(figure stored "$work/resume")
[ $((stored * 4)) -lt "$memory" ] ||
	fail "an incremental save stored $stored of $memory MiB"

# The second goes on where the first resume stopped; the first is as it was.
"$program" resume "$store" second "$scripts/resume.lua" >"$work/again"
expect "42400 documents now" "$work/again"
"$program" resume "$store" first "$scripts/resume.lua" >"$work/resume2"
expect "worker went on at 21000" "$work/resume2"

"$program" clones "$store" first "$scripts/clone.lua" -n 100 >"$work/clones"
expect "100 of 100 clones" "$work/clones"
expect "snapshot unchanged" "$work/clones"
image=$(figure "one image" "$work/clones")
all=$(figure "all clones" "$work/clones")
[ "$all" -lt $((image * 3)) ] ||
	fail "100 clones use $all MiB, an image is $image MiB"

# Another build has its functions elsewhere: told apart by the build-id.
id=$(readelf -n "$program" | sed -n 's/.*Build ID: //p')
python3 - "$program" "$work/other" "$id" <<'EOF'
import sys
data, id = open(sys.argv[1], "rb").read(), bytes.fromhex(sys.argv[3])
assert data.count(id) == 1
open(sys.argv[2], "wb").write(data.replace(id, bytes(reversed(id))))
EOF
chmod +x "$work/other"
if "$work/other" resume "$store" first "$scripts/resume.lua" 2>"$work/err"; then
	fail "another build was not refused"
fi
expect "made by another build of lua-sandbox" "$work/err"
[ "$(wc -l <"$work/err")" = 1 ] || fail "more than one line of error"
cat "$work/build" "$work/resume" "$work/clones"

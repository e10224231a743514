#!/bin/bash
# The installed tree serves programs from outside; see outside.c.
# SPDX-License-Identifier: Apache-2.0
#
# install.sh <cmake> <build folder> <C compiler> [<flag>...]
set -euo pipefail
cmake=$1 build=$2 cc=$3 here=$(cd "$(dirname "$0")" && pwd)
shift 3
flags=("$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

fail() {
	echo "install.sh: $*" >&2
	exit 1
}

"$cmake" --install "$build" --prefix "$prefix" >"$work/log" ||
	{ cat "$work/log"; fail "cmake --install failed"; }
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name memsnap.pc)")
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir memsnap)
case $libdir in
"$prefix"/*) ;;
*) fail "memsnap.pc says libdir=$libdir, not below $prefix" ;;
esac

# try <name> <compiler and arguments>...: compile outside.c, run it.
try() {
	local name=$1
	shift
	"$@" || fail "$name: does not compile"
	[ "$(LD_LIBRARY_PATH=$libdir "$work/$name" "$work/store-$name")" = \
		"hello from the first life" ] || fail "$name: wrong output"
	echo "$name: compiled, ran"
}

read -ra dynamic <<<"$(pkg-config --cflags --libs memsnap)"
read -ra static <<<"$(pkg-config --static --cflags --libs memsnap)"
src=$here/outside.c
warn=(-Wall -Wextra -Werror)
try c "$cc" -std=gnu17 "${warn[@]}" "${flags[@]}" "$src" -o "$work/c" \
	"${dynamic[@]}"
if [ ${#flags[@]} = 0 ]; then
	try static "$cc" -std=gnu17 -static "$src" -o "$work/static" \
		"${static[@]}"
	! readelf -l "$work/static" | grep -q INTERP ||
		fail "static: is not static"
fi
if command -v g++ >/dev/null && [ ${#flags[@]} = 0 ]; then
	try cxx g++ -x c++ -std=c++17 "${warn[@]}" "$src" -o "$work/cxx" \
		"${dynamic[@]}"
else
	echo "cxx: not tried (no g++, or sanitizers)"
fi

# The program in README.md does what it says there.
sed -n '/^```c$/,/^```$/p' "$here/../../../README.md" | sed '1d;$d' \
	>"$work/words.c"
"$cc" "${warn[@]}" "${flags[@]}" "$work/words.c" -o "$work/words" \
	"${dynamic[@]}" || fail "README.md: does not compile"
said=$(cd "$work" && export LD_LIBRARY_PATH=$libdir &&
	./words "said in the first life" && ./words)
[ "$said" = "said in the first life" ] || fail "README.md: it said \"$said\""
echo "README.md: compiled, ran"

# find_package() finds the same.
mkdir "$work/project"
cat >"$work/project/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.25)
project(outside LANGUAGES C)
find_package(memsnap 0.1 REQUIRED)
add_executable(cmake $src)
target_link_libraries(cmake memsnap::memsnap)
EOF
by_cmake() {
	"$cmake" -S "$work/project" -B "$work/build" \
		-DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
		-DCMAKE_C_FLAGS="${flags[*]}" \
		-DCMAKE_RUNTIME_OUTPUT_DIRECTORY="$work" --log-level=ERROR \
		>"$work/log" && "$cmake" --build "$work/build" >>"$work/log"
}
try cmake by_cmake

#!/bin/bash
# libmemsnap gives out memsnap_* and nothing else, all that the headers declare.
# SPDX-License-Identifier: Apache-2.0
#
# exports.sh <libmemsnap.so> <libmemsnap.a> <include folder>
set -euo pipefail
shared=$1 archive=$2 include=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

grep -hoE '\bmemsnap_[a-z0-9_]+\(' "$include"/memsnap/*.h* | tr -d '(' |
	sort -u >"$work/declared"
# Function types and what only comments mention are no functions.
nm -D --defined-only "$shared" | awk '$2 != "A" { print $3 }' |
	sort -u >"$work/versioned"
sed 's/@@*.*//' "$work/versioned" | sort -u >"$work/shared"
nm -g --defined-only "$archive" | awk 'NF == 3 { print $3 }' |
	sort -u >"$work/archive"

if grep -v '@@MEMSNAP_' "$work/versioned"; then
	echo "exports.sh: the names above have no version"
	bad=1
fi
for list in shared archive; do
	if ! diff -u "$work/declared" "$work/$list"; then
		echo "exports.sh: headers (-) and $list library (+) differ"
		bad=1
	fi
done
echo "$(wc -l <"$work/shared") functions exported"
exit $bad

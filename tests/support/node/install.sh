#!/bin/sh
# Puts node_modules into a folder: install.sh <folder>
# SPDX-License-Identifier: Apache-2.0
#
# Does nothing when what the lock file says is there already.  77 where npm is
# missing; any other failure is one.
set -eu
here=$(dirname "$0")
folder=$1

command -v npm >/dev/null || {
	echo "skipped: no npm"
	exit 77
}
if cmp -s "$here/package-lock.json" "$folder/installed.json"; then
	exit 0
fi
mkdir -p "$folder"
cp "$here/package.json" "$here/package-lock.json" "$folder"
cd "$folder"
rm -f installed.json
# No package's own scripts: nothing that is needed here has any use for them.
npm ci --ignore-scripts --no-audit --no-fund --prefer-offline
cp package-lock.json installed.json

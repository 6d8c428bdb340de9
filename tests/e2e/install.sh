#!/bin/sh
# Installs the clients that the end-to-end tests drive, exactly as package-lock.json names them.
# Does nothing when they are there already.
set -eu
cd "$(dirname "$0")"

for tool in node npm; do
  if ! command -v "$tool" >/dev/null; then
    echo "$tool is missing: the end-to-end tests need Node.js 18 or later and npm" >&2
    exit 1
  fi
done

if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 18 ? 0 : 1)'; then
  echo "node $(node --version) is too old: the end-to-end tests need 18 or later" >&2
  exit 1
fi

# npm writes this file last; older than the lock file, it is from another state of the tree.
if [ -e node_modules/.package-lock.json ] &&
    [ ! package-lock.json -nt node_modules/.package-lock.json ]; then
  exit 0
fi
npm ci --no-audit --no-fund

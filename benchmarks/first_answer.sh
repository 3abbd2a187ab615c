#!/usr/bin/env bash
# Measure how long a new user waits from `git clone` through `make serve` to the first answer of /classify.
#
#   benchmarks/first_answer.sh [PICTURE]
#
# Needs git, make, curl and Python 3.11 or newer. pip installs the packages from its configured source, or from
# its cache.
set -euo pipefail

repository=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
picture=${1:-$repository/docs/images/sample.jpg}
port=${PORT:-5055}
work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$work"' EXIT

started=$SECONDS
git clone --quiet "$repository" "$work/tamperscope"
make --silent -C "$work/tamperscope" serve ARGS="--port $port" >"$work/log" 2>&1 &
server=$!
until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/ready"; do
    kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.2
done
echo "ready after $((SECONDS - started)) s"
curl --silent --fail -F "image=@$picture" "http://127.0.0.1:$port/classify"
echo
echo "first answer after $((SECONDS - started)) s"

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Three primaries of a Redis Cluster beside one Redis: redis_cluster.sh build/release/benchmarks/store_bench [OPTIONS]
# The servers are this script's own, and gone when it ends.
set -euo pipefail
bench="${1:?which store_bench?}"
shift
directory="$(mktemp -d)"
first_port="${IDEMPO_BENCH_PORT:-17380}"
servers=()
trap 'kill "${servers[@]}" 2>/dev/null || true; wait; rm -rf "$directory"' EXIT

start() { # port, then more words
    local port="$1"
    shift
    mkdir "$directory/$port"
    redis-server --port "$port" --bind 127.0.0.1 --save "" --dir "$directory/$port" "$@" >"$directory/$port/log" &
    servers+=($!)
    until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.05; done
}

start "$first_port"
nodes=()
for number in 1 2 3; do
    port=$((first_port + number))
    start "$port" --cluster-enabled yes --cluster-port $((port + 10))
    nodes+=("127.0.0.1:$port")
done
redis-cli --cluster create "${nodes[@]}" --cluster-yes >/dev/null
for node in "${nodes[@]}"; do
    until redis-cli -p "${node#*:}" cluster info | grep -q cluster_state:ok; do sleep 0.05; done
done
"$bench" redis-cluster "$first_port" "${nodes[@]#*:}" "$@"

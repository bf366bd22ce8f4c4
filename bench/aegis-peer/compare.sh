#!/bin/sh
# Compares internal/aegis with the C loop of peer.c: both hash the same 64 MiB
# 20 times, in turn, as many rounds as the first argument says (15 if none).
# The second argument is the path (avx, or sse to see what AVX brings). Prints
# each round's mean speeds in GB/s and their ratio, then the median ratio. A
# round with other work on the machine may be far off; the median is not.
set -eu
rounds=${1:-15}
path=${2:-avx}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -O3 -maes -mavx -o "$work/peer" "$here/peer.c"
(cd "$here/../.." && go test -c -o "$work/aegis.test" ./internal/aegis)

round=0
while [ "$round" -lt "$rounds" ]; do
	round=$((round + 1))
	peer=$("$work/peer" 64 20 | awk '{ print $6 }')
	ours=$("$work/aegis.test" -test.run '^$' -test.bench "^BenchmarkSum/^path=$path\$/^size=64MiB\$" -test.benchtime 20x |
		awk '/MB\/s/ { for (i = 2; i <= NF; i++) if ($i == "MB/s") print $(i-1) / 1000 }')
	echo "$peer $ours" | awk '{ printf "C %.2f  Go %.2f  ratio %.3f\n", $1, $2, $2 / $1 }'
done | tee "$work/rounds"
awk '{ print $6 }' "$work/rounds" | sort -n | awk '{ r[NR] = $1 } END { printf "median ratio %.3f of %d rounds\n", r[int((NR + 1) / 2)], NR }'

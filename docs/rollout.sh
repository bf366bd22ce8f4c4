#!/bin/sh
# Rolls a release out to the hosts of one cluster:
#
#     rollout.sh RELEASE HOST...
#
#   1. On every host a dry run. If one says no, nothing has changed anywhere.
#   2. One host after the other: install, and wait until its replicas hold the new
#      binary in memory, and until they serve. The last host is the promotion: from
#      then on the cluster upgrades, and there is no way back.
#   3. On every host: wait until its replicas serve with the release.
#
# It stops at the first host that says 3 (rejected), 4 (refused) or 6 (unknown
# state). After 1, 5, 130 and a lost connection it tries the same host again: that
# is always safe. Its own exit code is the one that stopped it. Run it again when the
# reason is gone: hosts that are done already answer at once.
#
#   TARGET  where it is installed on each host, if not at the host's own default
#   FLAGS   more flags for the installations, such as "--require digest"
#   SSH     the command that reaches a host (ssh -o BatchMode=yes)
#   TRIES   how often a host is tried (3), with PAUSE seconds between (10)
#   PATIENCE  how long the replicas of a host may take to come one step further (5m):
#             each stop on the way starts all of them again
#   PROOF   how a host is seen to serve: serving, or running where its replicas cannot
#           be asked from it, such as a standby or one with a network of its own

set -u
trap 'exit 130' INT TERM HUP

ssh=${SSH:-ssh -o BatchMode=yes}
tries=${TRIES:-3}
pause=${PAUSE:-10}
patience=${PATIENCE:-5m}
proof=${PROOF:-serving}

say() { echo "rollout: $*" >&2; }

# meaning CODE: what an exit code stands for.
meaning() {
    case $1 in
    1) echo "failed" ;;
    2) echo "wrong command line or configuration" ;;
    3) echo "the artifact is rejected" ;;
    4) echo "it does not fit this host" ;;
    5) echo "somebody else is at it" ;;
    6) echo "the state on the disk is not known: run \"tbctl status\" there, and restart nothing before you know" ;;
    126 | 127) echo "tbctl is not installed there" ;;
    130) echo "interrupted" ;;
    255) echo "no connection" ;;
    *) echo "exit code $1" ;;
    esac
}

# attempt HOST ARGUMENT...: runs tbctl on a host, again where that may help.
attempt() {
    at=$1
    shift
    left=$tries
    while :; do
        $ssh "$at" "tbctl $*" </dev/null
        code=$?
        case $code in
        0) return 0 ;;
        1 | 5 | 130 | 255) left=$((left - 1)) ;; # that host is whole: it may be tried again
        *) left=0 ;;
        esac
        say "$at: $(meaning $code)"
        [ "$left" -gt 0 ] || return $code
        sleep "$pause"
    done
}

if [ $# -lt 2 ]; then
    echo "usage: rollout.sh RELEASE HOST..." >&2
    exit 2
fi
release=$1
shift
flags=${FLAGS:-}

for host in "$@"; do
    say "$host: would it do?"
    attempt "$host" install "$release" ${TARGET:-} --dry-run --quiet $flags >/dev/null || {
        code=$?
        say "stopped before anything was changed anywhere"
        exit $code
    }
done

done=0
for host in "$@"; do
    say "$host: installing"
    attempt "$host" install "$release" ${TARGET:-} --quiet --wait 1m --wait-armed "$patience" $flags || {
        code=$?
        say "stopped: $done of $# hosts are done; the cluster goes on with what it runs until all are"
        exit $code
    }
    attempt "$host" watch ${TARGET:-} --until "$proof" --patience "$patience" --quiet || {
        code=$?
        say "stopped: $host has $release, but is not seen to serve: tbctl status there; the next host would be one too many"
        exit $code
    }
    done=$((done + 1))
done

for host in "$@"; do
    attempt "$host" watch ${TARGET:-} --until "$proof=$release" --patience "$patience" --quiet || {
        code=$?
        say "$release is installed on all $# hosts, but $host is not seen to serve with it yet: tbctl status there; nothing needs undoing"
        exit $code
    }
    say "$host: $proof with $release"
done
say "done: $# hosts are $proof with $release"

# What the scripts beside this share: saying in one sentence what is missing and how it comes.

# need PROGRAM PACKAGE: ends the script if the program is not there.
need() {
    command -v "$1" >/dev/null 2>&1 && return
    echo "$(basename "$0"): $1 is missing; $2" >&2
    exit 1
}

# need_counters: ends the script if the kernel lets this user sample nothing.
need_counters() {
    need perf "it is in the package linux-perf (Debian) or linux-tools-\$(uname -r) (Ubuntu)"
    local paranoid
    paranoid=$(cat /proc/sys/kernel/perf_event_paranoid 2>/dev/null || echo 4)
    if [ "$(id -u)" != 0 ] && [ "$paranoid" -gt 1 ]; then
        echo "$(basename "$0"): the kernel forbids it; as root: sysctl kernel.perf_event_paranoid=1" >&2
        exit 1
    fi
}

# need_bpftrace: ends the script if no program can be put into the kernel.
need_bpftrace() {
    need bpftrace "it is in the package bpftrace"
    if [ "$(id -u)" != 0 ]; then
        echo "$(basename "$0"): bpftrace wants root" >&2
        exit 1
    fi
    if [ ! -e /sys/kernel/btf/vmlinux ] && [ ! -d "/lib/modules/$(uname -r)/build" ]; then
        echo "$(basename "$0"): the kernel has no BTF (CONFIG_DEBUG_INFO_BTF) and its headers are not installed" >&2
        exit 1
    fi
}

# usage LINE COUNT ARGS...: ends the script if there are fewer arguments than that.
usage() {
    local line=$1 count=$2
    shift 2
    [ $# -ge "$count" ] && return
    echo "usage: $(basename "$0") $line" >&2
    exit 2
}

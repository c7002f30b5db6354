#!/bin/sh
# The protoc by which the crate etcd-client compiles its definitions when it is built.
#
# It is the one that cargo has downloaded with the crate protoc-bin-vendored, checked by
# Cargo.lock as all crates are; where there is none for this machine, the system's. The config
# file beside this tells every cargo of this repository of it, and a PROTOC that is set in the
# environment wins.
set -eu

case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) machine=linux-x86_64 ;;
    Linux-aarch64) machine=linux-aarch_64 ;;
    Linux-ppc64le) machine=linux-ppcle_64 ;;
    Linux-s390x) machine=linux-s390_64 ;;
    Darwin-arm64) machine=macos-aarch_64 ;;
    Darwin-x86_64) machine=macos-x86_64 ;;
    *) machine=unknown ;;
esac

downloaded() {
    for protoc in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/protoc-bin-vendored-"$machine"-*/bin/protoc; do
        if [ -x "$protoc" ]; then
            echo "$protoc"
            return
        fi
    done
}

protoc=$(downloaded)
if [ -z "$protoc" ]; then
    # A build of one package alone downloads no more than that needs.
    "${CARGO:-cargo}" fetch --locked --manifest-path "$(dirname "$0")/../Cargo.toml" >&2 || true
    protoc=$(downloaded)
fi
if [ -z "$protoc" ]; then
    protoc=$(command -v protoc) || {
        echo "there is no protoc: install it (Debian: protobuf-compiler and libprotobuf-dev), or set PROTOC" >&2
        exit 1
    }
fi
exec "$protoc" "$@"

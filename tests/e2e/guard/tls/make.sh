#!/bin/sh
# Makes the certificates of these tests anew: two authorities, and what they have signed.
set -eu
cd "$(dirname "$0")"
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1.key"; }
authority() {
    key "$1"
    openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 36500 -out "$1.pem" \
        -addext "keyUsage=critical,keyCertSign,cRLSign"
}
# NAME AUTHORITY EXTENSIONS
signed() {
    key "$1"
    printf 'basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\n%s\n' "$3" > ext
    openssl req -new -key "$1.key" -subj "/CN=$1" \
        | openssl x509 -req -CA "$2.pem" -CAkey "$2.key" -days 36500 -extfile ext -out "$1.pem"
    rm ext
}
host='subjectAltName=IP:127.0.0.1,DNS:localhost
extendedKeyUsage=serverAuth,clientAuth'
person='extendedKeyUsage=clientAuth'
authority authority
authority stranger
signed host authority "$host"
signed renewed authority "$host"
signed person authority "$person"
signed intruder stranger "$person"
rm authority.key stranger.key

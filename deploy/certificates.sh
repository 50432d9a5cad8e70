#!/bin/sh
# Makes an authority and the certificates that deploy/compose.yaml needs, in the directory that is named; what exists
# stays. For a real edge, put certificates for its public name in place of edge.pem and edge-key.pem.
#
# Keys belong to whoever runs this, and to nobody else; root's belong to user 10001 of the images, who is not root.
set -eu
umask 077
mkdir -p "$1"
cd "$1"
[ -f ca.pem ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
  -subj "/CN=identity authority" -keyout ca-key.pem -out ca.pem
sign() {
  [ -f "$1.pem" ] && return
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" -keyout "$1-key.pem" -out "$1.csr"
  printf 'subjectAltName=DNS:%s,DNS:localhost\n' "$2" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca-key.pem -days 825 -extfile "$1.ext" -out "$1.pem"
  rm "$1.csr" "$1.ext"
}
sign service identity
sign client client
sign edge "${2:-localhost}"
chmod 755 .
chmod 644 ca.pem service.pem client.pem edge.pem
chmod 600 ca-key.pem service-key.pem client-key.pem edge-key.pem
# The authority's key is needed to sign, and by nobody who runs.
[ "$(id -u)" != 0 ] || chown 10001:10001 service-key.pem client-key.pem edge-key.pem

#!/bin/sh
# Makes what deploy/compose.yaml needs, beside it: certificates in tls; in .env the secrets, and who may read the keys.
# What exists stays: the volume of the database is of no use with another password or another secret.
set -eu
cd "$(dirname "$0")"
./certificates.sh tls
[ ! -f .env ] || exit 0
secret="$(openssl rand -base64 48)"
password="$(openssl rand -hex 24)"
owner="$(ls -n tls/service-key.pem | awk '{print $3 ":" $4}')"
umask 077
printf 'IDENTITY_SECRET=%s\nPOSTGRES_PASSWORD=%s\nRUN_AS=%s\n' "$secret" "$password" "$owner" > .env

#!/usr/bin/env bash
# Makes what a deployment keeps secret, each in a file of its own, and never overwrites any: the keys are needed for as
# long as the database lasts. Back the folder up apart from the database.
#
# Usage: deploy/make-secrets.sh FOLDER [HOST[:PORT]]    HOST is where PostgreSQL is, `database` unless it is named
set -euo pipefail

folder=${1:?Usage: deploy/make-secrets.sh FOLDER [HOST[:PORT]]}
host=${2:-database}

if [[ -e $folder ]]; then
  printf 'make-secrets: %s is there already, and is left as it is\n' "$folder" >&2
  exit 1
fi
# Only its owner may enter the folder. The files are readable in it: Compose mounts them as they are, for the image's user.
mkdir -p -- "$(dirname -- "$folder")"
mkdir -m 0700 -- "$folder"
umask 0333

write() { printf '%s\n' "$2" >"$folder/$1"; }
random() { openssl rand -hex 32; }

owner=$(random)
app=$(random)
write postgres-password "$(random)"
write postgres-owner-password "$owner"
write postgres-app-password "$app"
write database-owner-url "postgresql://sceau_owner:$owner@$host/sceau"
write database-url "postgresql://sceau_app:$app@$host/sceau"
write pseudonym-key "$(random)"
write master-key "1:$(random)"
write bootstrap-key "$(random)"

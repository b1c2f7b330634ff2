#!/usr/bin/env bash
# Runs once, when the database's volume is empty: the owner makes the schema, the service's role only uses it.
# Passwords go through the environment of psql, so that they stand in no process list. They come in POSTGRES_OWNER_PASSWORD
# and POSTGRES_APP_PASSWORD, or in the files that POSTGRES_OWNER_PASSWORD_FILE and POSTGRES_APP_PASSWORD_FILE name.
set -euo pipefail

for name in POSTGRES_OWNER_PASSWORD POSTGRES_APP_PASSWORD; do
  file=${name}_FILE
  if [[ ${!file:-} ]]; then export "$name=$(<"${!file}")"; fi
  : "${!name:?set $name or $file}"
done

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
\getenv owner_password POSTGRES_OWNER_PASSWORD
\getenv app_password POSTGRES_APP_PASSWORD

CREATE ROLE sceau_owner LOGIN NOSUPERUSER CREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'owner_password';
CREATE ROLE sceau_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'app_password';

CREATE DATABASE sceau OWNER sceau_owner TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE sceau FROM PUBLIC;
GRANT CONNECT ON DATABASE sceau TO sceau_app;

\connect sceau
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO sceau_owner;
SQL

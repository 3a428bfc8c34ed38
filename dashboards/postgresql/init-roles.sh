#!/bin/sh
# Makes the platform's database and roles in a new cluster: the owner migrates, the application reads and writes, the
# monitor looks at statistics. Needs DATABASE_OWNER_PASSWORD, DATABASE_PASSWORD and DATABASE_MONITOR_PASSWORD.
set -eu

psql --set ON_ERROR_STOP=1 --no-psqlrc --quiet --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv owner_password DATABASE_OWNER_PASSWORD
\getenv application_password DATABASE_PASSWORD
\getenv monitor_password DATABASE_MONITOR_PASSWORD
CREATE ROLE glasshouse_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
CREATE ROLE glasshouse_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'application_password';
CREATE ROLE glasshouse_monitor LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE CONNECTION LIMIT 5 PASSWORD :'monitor_password';
GRANT pg_monitor TO glasshouse_monitor;
CREATE DATABASE glasshouse OWNER glasshouse_owner TEMPLATE template0;
\connect glasshouse
REVOKE ALL ON DATABASE glasshouse FROM PUBLIC;
GRANT CONNECT ON DATABASE glasshouse TO glasshouse_app, glasshouse_monitor;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER SCHEMA public OWNER TO glasshouse_owner;
GRANT USAGE ON SCHEMA public TO glasshouse_app;
SQL

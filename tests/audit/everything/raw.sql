-- Tables that Django didn't make: a cascade of the database's own, names as strange as they may be, an old-style table.
CREATE TABLE raw_parent (
    id   bigint PRIMARY KEY,
    name text   NOT NULL
);

CREATE TABLE raw_child (
    id        bigint PRIMARY KEY,
    parent_id bigint NOT NULL REFERENCES raw_parent ON DELETE CASCADE,
    name      text   NOT NULL
);

CREATE TABLE "Odd Näme's Table" (
    "The Key"     bigint PRIMARY KEY,
    "It's a Näme" text   NOT NULL,
    "select"      text   NOT NULL DEFAULT ''
);

CREATE TABLE "Quoted ""Table""" (
    id             bigint PRIMARY KEY,
    "a ""quoted"" one" text NOT NULL
);

-- Types that PostgreSQL can't compare, or that JSON has no like of.
CREATE TYPE raw_mood AS ENUM ('sad', 'glad');
CREATE TYPE raw_pair AS (one integer, other text);
CREATE DOMAIN raw_percent AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN raw_document AS json;
CREATE DOMAIN raw_spot AS point;
CREATE TABLE raw_types (
    id        bigint PRIMARY KEY,
    plain     json,
    place     point,
    mood      raw_mood,
    pair      raw_pair,
    percent   raw_percent,
    document  raw_document,
    spot      raw_spot,
    price     money,
    flags     bit varying(8),
    network   cidr,
    hardware  macaddr,
    local_at  timestamp without time zone,
    zoned     time with time zone,
    spans     int4multirange,
    "system"  "char",
    padded    character(5),
    kind      regclass
);

GRANT SELECT, INSERT, UPDATE, DELETE
    ON raw_parent, raw_child, "Odd Näme's Table", "Quoted ""Table""", raw_types TO :application_role;

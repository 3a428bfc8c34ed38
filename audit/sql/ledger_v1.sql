-- The ledger's table, its guard and the functions that write it. Released SQL is frozen: changes come as _v2.
-- Every function names its objects with their schema, so that no search_path can redirect it.

CREATE SEQUENCE public.audit_event_id_seq AS bigint CACHE 1;

CREATE TABLE public.audit_event (
    id             bigint      NOT NULL DEFAULT pg_catalog.nextval('public.audit_event_id_seq'),
    recorded_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    txid           xid8        NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    action         text        NOT NULL,
    outcome        text        NOT NULL DEFAULT 'success',
    object_type    text,
    object_id      text,
    changes        jsonb,
    actor_type     text,
    actor_id       text,
    actor_label    text,
    request_id     text,
    trace_id       text,
    span_id        text,
    task_id        text,
    origin         text,
    operation      text,
    context        jsonb,
    -- 122 random bits from the server's strong generator: its most costly call here, so there is one of it. An event's
    -- commitment is made with it when the event is sealed.
    salt           bytea       NOT NULL DEFAULT pg_catalog.uuid_send(pg_catalog.gen_random_uuid()),
    schema_version smallint    NOT NULL DEFAULT 1,
    PRIMARY KEY (id, recorded_at)
) PARTITION BY RANGE (recorded_at);

-- Few indexes, since each is dear in bulk. Request ids of ours begin with their time, so theirs grows at its end.
CREATE INDEX audit_event_object ON public.audit_event (object_type, object_id);
CREATE INDEX audit_event_actor ON public.audit_event (actor_id, recorded_at);
CREATE INDEX audit_event_request ON public.audit_event (request_id);
CREATE INDEX audit_event_time ON public.audit_event USING brin (recorded_at);

-- The key of masked values' digests: readable by the owner's functions alone.
CREATE TABLE public.audit_key (
    name    text  PRIMARY KEY,
    key     bytea NOT NULL
);
INSERT INTO public.audit_key (name, key)
VALUES ('mask', pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) || pg_catalog.uuid_send(pg_catalog.gen_random_uuid()));

CREATE FUNCTION public.audit_refuse_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit ledger is append-only: % on % is refused.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Events are never changed; retention drops whole partitions.';
END
$$;

CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON public.audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION public.audit_refuse_v1();

-- A statement trigger of the parent doesn't fire for a statement on its partition: each gets its own.
CREATE FUNCTION public.audit_guard_partition_v1(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE pg_catalog.format(
        'CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I '
        'FOR EACH STATEMENT EXECUTE FUNCTION public.audit_refuse_v1()', name);
    EXECUTE pg_catalog.format('REVOKE ALL ON public.%I FROM PUBLIC', name);
END
$$;

-- Who writes when nobody said so: psql, a cron job, a migration by hand. The form is that of audit/literal.py.
CREATE FUNCTION public.audit_database_context_v1() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT pg_catalog.array_to_string(ARRAY[
        'silent', 'database', session_user::text, session_user::text, '', '', '', '', 'sql',
        pg_catalog.translate(pg_catalog.current_setting('application_name', true), E'\x1f', ''),
        pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
            'database_user', session_user,
            'application_name', pg_catalog.current_setting('application_name', true),
            'address', pg_catalog.host(pg_catalog.inet_client_addr())))::text], E'\x1f')
$$;

-- HMAC-SHA-256 (RFC 2104), cut to 128 bits: equal values can be told, the values can't.
CREATE FUNCTION public.audit_mask_v1(value text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    padded bytea;
    inner_key bytea := ''::bytea;
    outer_key bytea := ''::bytea;
    digest bytea;
BEGIN
    IF value IS NULL THEN
        RETURN 'null'::jsonb;
    END IF;
    SELECT key || pg_catalog.decode(pg_catalog.repeat('00', 64 - pg_catalog.length(key)), 'hex')
        INTO STRICT padded FROM public.audit_key WHERE name = 'mask';
    FOR i IN 0 .. 63 LOOP
        inner_key := inner_key || pg_catalog.set_byte('\x00'::bytea, 0, pg_catalog.get_byte(padded, i) # 54);
        outer_key := outer_key || pg_catalog.set_byte('\x00'::bytea, 0, pg_catalog.get_byte(padded, i) # 92);
    END LOOP;
    digest := pg_catalog.sha256(outer_key || pg_catalog.sha256(inner_key || pg_catalog.convert_to(value, 'UTF8')));
    RETURN pg_catalog.jsonb_build_object('masked', pg_catalog.encode(pg_catalog.substr(digest, 1, 16), 'hex'));
END
$$;

-- A value whose text is longer than `longest` bytes, cut as a whole: its beginning, length in characters and SHA-256.
CREATE FUNCTION public.audit_cut_value_v1(value jsonb, longest integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN pg_catalog.octet_length(value #>> '{}') <= longest THEN value
        ELSE pg_catalog.jsonb_build_object(
            'cut', pg_catalog.left(value #>> '{}', 1000), 'length', pg_catalog.length(value #>> '{}'),
            'sha256', pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(value #>> '{}', 'UTF8')), 'hex')) END
$$;

-- The changes of an event with long values cut: of an update both of each pair, otherwise each field's value.
CREATE FUNCTION public.audit_cut_v1(action text, changes jsonb, longest integer) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_catalog.jsonb_object_agg(field, CASE
        WHEN pg_catalog.pg_column_size(value) <= longest OR value = 'null'::jsonb THEN value
        WHEN action LIKE '%.updated' AND pg_catalog.jsonb_typeof(value) = 'array'
            AND pg_catalog.jsonb_array_length(value) = 2 THEN pg_catalog.jsonb_build_array(
                coalesce(public.audit_cut_value_v1(value -> 0, longest), value -> 0),
                coalesce(public.audit_cut_value_v1(value -> 1, longest), value -> 1))
        ELSE public.audit_cut_value_v1(value, longest) END)
    FROM pg_catalog.jsonb_each(changes) AS each (field, value)
$$;

-- The limit is the trigger's argument: `install` sets it from AUDIT_VALUE_LIMIT_BYTES.
CREATE FUNCTION public.audit_cut_changes_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_catalog.jsonb_typeof(NEW.changes) = 'object' THEN
        NEW.changes := public.audit_cut_v1(NEW.action, NEW.changes, TG_ARGV[0]::integer);
    END IF;
    RETURN NEW;
END
$$;

-- The functions of a table whose columns are no longer those that its capture was made for. They know no column by
-- name: what was excluded stays out, what was masked stays masked, and so does, where anything is, what came since.
CREATE FUNCTION public.audit_drifted_row_v1(image jsonb, known text[], excluded text[], masked text[])
RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(pg_catalog.jsonb_object_agg(name, CASE
        WHEN name = ANY (masked) OR (pg_catalog.cardinality(masked) > 0 AND name <> ALL (known))
            THEN public.audit_mask_v1(item #>> '{}')
        ELSE item END), '{}'::jsonb)
    FROM pg_catalog.jsonb_each(image) AS each (name, item)
    WHERE name <> ALL (excluded)
$$;

CREATE FUNCTION public.audit_drifted_diff_v1(old_image jsonb, new_image jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(pg_catalog.jsonb_object_agg(name, pg_catalog.jsonb_build_array(old_image -> name, n.item)), '{}'::jsonb)
    FROM pg_catalog.jsonb_each(new_image) AS n (name, item)
    WHERE old_image -> name IS DISTINCT FROM n.item
$$;

CREATE FUNCTION public.audit_drifted_key_v1(image jsonb, key_columns text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN pg_catalog.cardinality(key_columns) = 1 THEN image ->> key_columns[1]
        ELSE (SELECT '[' || pg_catalog.string_agg((image -> name)::text, ',' ORDER BY place) || ']'
              FROM pg_catalog.unnest(key_columns) WITH ORDINALITY AS each (name, place)) END
$$;

-- The application's one door to the ledger: an event that is no row. `about` is the context as the wrapper sends it.
CREATE FUNCTION public.audit_record_v1(
    event_action text, event_outcome text, event_object_type text, event_object_id text, event_changes jsonb, about text
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    a text[] := pg_catalog.string_to_array(about, E'\x1f');
    event_id bigint;
BEGIN
    IF event_outcome NOT IN ('success', 'denied', 'error') THEN
        RAISE EXCEPTION 'An outcome is success, denied or error, not %.', event_outcome USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO public.audit_event (
        action, outcome, object_type, object_id, changes, actor_type, actor_id, actor_label,
        request_id, trace_id, span_id, task_id, origin, operation, context)
    VALUES (
        event_action, event_outcome, event_object_type, event_object_id, event_changes,
        a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11]::jsonb)
    RETURNING id INTO event_id;
    RETURN event_id;
END
$$;

REVOKE ALL ON TABLE public.audit_event, public.audit_key FROM PUBLIC;
REVOKE ALL ON SEQUENCE public.audit_event_id_seq FROM PUBLIC;
REVOKE ALL ON FUNCTION
    public.audit_guard_partition_v1(text),
    public.audit_database_context_v1(), public.audit_mask_v1(text), public.audit_cut_v1(text, jsonb, integer),
    public.audit_cut_value_v1(jsonb, integer),
    public.audit_cut_changes_v1(), public.audit_drifted_row_v1(jsonb, text[], text[], text[]), public.audit_drifted_diff_v1(jsonb, jsonb),
    public.audit_drifted_key_v1(jsonb, text[]),
    public.audit_record_v1(text, text, text, text, jsonb, text) FROM PUBLIC;

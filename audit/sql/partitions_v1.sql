-- Monthly partitions, made ahead of time, and events moved into theirs where time was faster than whoever makes them.
-- Released SQL is frozen: changes come as _v2. For the ledger's owner alone.

-- A partition has the guard of its own, and nobody but its owner has a right on it: rights are given on the ledger.
-- Default privileges may have given some.
CREATE FUNCTION public.audit_close_partition_v1(name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    grantee text;
BEGIN
    PERFORM public.audit_guard_partition_v1(name);
    FOR grantee IN
        SELECT DISTINCT pg_catalog.pg_get_userbyid(acl.grantee)
        FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) acl
        WHERE c.oid = pg_catalog.to_regclass(pg_catalog.format('public.%I', name))
            AND acl.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON public.%I FROM %I', name, grantee);
    END LOOP;
END
$$;

CREATE FUNCTION public.audit_partition_name_v1(month timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT 'audit_event_' || pg_catalog.to_char(month AT TIME ZONE 'UTC', 'YYYY_MM')
$$;

CREATE FUNCTION public.audit_next_month_v1(month timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'
$$;

-- Makes the partitions that are missing: from the month of `moment` on, `months_ahead` more, and each month of which the
-- default partition holds events. Those are moved. Returns each partition made, and how many events came into it.
--
-- An event is never changed nor lost: it is copied within this one transaction, the copies are counted, and only then
-- the table they came from is dropped. What was committed before the call is copied while writers go on; they wait for
-- the rest alone, and for no longer than 0.3 s where somebody else holds the ledger: then this function waits instead.
CREATE FUNCTION public.audit_ensure_partitions_v1(moment timestamptz, months_ahead integer)
RETURNS TABLE (partition_name text, moved_events bigint) LANGUAGE plpgsql AS $$
DECLARE
    ledger CONSTANT regclass := 'public.audit_event';
    lock_timeout_before CONSTANT text := pg_catalog.current_setting('lock_timeout');
    spare regclass;
    months timestamptz[];
    month timestamptz;
    column_list text;
    copy text;
    running_from xid8;
    early bigint[] := '{}';
    copied bigint;
    all_copied bigint := 0;
    held bigint := 0;
    is_locked boolean := false;
BEGIN
    IF pg_catalog.current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'Partitions are made in a transaction that is READ COMMITTED: others are blind to late events.';
    END IF;
    -- One at a time; the others find the work done.
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('audit_ensure_partitions', 0));

    SELECT nullif(partdefid, 0)::regclass INTO STRICT spare
    FROM pg_catalog.pg_partitioned_table WHERE partrelid = ledger;
    months := ARRAY(
        SELECT (pg_catalog.date_trunc('month', moment AT TIME ZONE 'UTC') + pg_catalog.make_interval(months => ahead))
               AT TIME ZONE 'UTC'
        FROM pg_catalog.generate_series(0, months_ahead) ahead);
    IF spare IS NOT NULL THEN
        EXECUTE pg_catalog.format(
            'SELECT $1 || ARRAY(SELECT DISTINCT pg_catalog.date_trunc(''month'', recorded_at, ''UTC'') FROM %s '
            'WHERE recorded_at >= ''1970-01-01'' AND recorded_at < ''9999-01-01'')', spare)
        INTO months USING months;
    END IF;
    -- A table of that name that is no partition was detached by somebody: its month's late events stay where they are.
    months := ARRAY(
        SELECT DISTINCT wanted FROM pg_catalog.unnest(months) wanted
        WHERE pg_catalog.to_regclass('public.' || public.audit_partition_name_v1(wanted)) IS NULL ORDER BY wanted);
    IF pg_catalog.cardinality(months) = 0 AND spare IS NOT NULL THEN
        RETURN;
    END IF;

    SELECT pg_catalog.string_agg(pg_catalog.quote_ident(attname), ', ' ORDER BY attnum) INTO column_list
    FROM pg_catalog.pg_attribute
    WHERE attrelid = ledger AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
    copy := 'INSERT INTO public.%I (' || column_list || ') SELECT ' || column_list
        || ' FROM %s WHERE recorded_at >= $1 AND recorded_at < $2 AND ';

    -- First what every transaction that is over by now has written; nobody waits for this.
    running_from := pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot());
    FOREACH month IN ARRAY months LOOP
        partition_name := public.audit_partition_name_v1(month);
        EXECUTE pg_catalog.format(
            -- The constraint spares the ATTACH a scan.
            'CREATE TABLE public.%I (LIKE public.audit_event INCLUDING ALL, '
            'CONSTRAINT audit_month CHECK (recorded_at >= %L AND recorded_at < %L))',
            partition_name, month, public.audit_next_month_v1(month));
        PERFORM public.audit_close_partition_v1(partition_name);
        copied := 0;
        IF spare IS NOT NULL THEN
            EXECUTE pg_catalog.format(copy || 'txid < $3', partition_name, spare)
                USING month, public.audit_next_month_v1(month), running_from;
            GET DIAGNOSTICS copied = ROW_COUNT;
        END IF;
        early := early || copied;
    END LOOP;

    FOR attempt IN 1 .. 60 LOOP
        BEGIN
            PERFORM pg_catalog.set_config('lock_timeout', '300ms', true);
            EXECUTE pg_catalog.format('LOCK TABLE ONLY %s%s IN ACCESS EXCLUSIVE MODE', ledger, ', ONLY ' || spare);
            is_locked := true;
            EXIT;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_catalog.pg_sleep(0.05 + 0.2 * pg_catalog.random());
        END;
    END LOOP;
    IF NOT is_locked THEN
        RAISE EXCEPTION 'The ledger was in use without a pause, so no partition was made.'
            USING ERRCODE = 'lock_not_available',
                  HINT = 'A transaction that reads or writes the ledger has been open for long. Try again after it.';
    END IF;
    PERFORM pg_catalog.set_config('lock_timeout', lock_timeout_before, true);

    -- From here on everybody waits. In READ COMMITTED each statement sees what was committed before the lock was ours.
    IF spare IS NOT NULL THEN
        EXECUTE pg_catalog.format('ALTER TABLE %s DETACH PARTITION %s', ledger, spare);
    END IF;
    FOR place IN 1 .. pg_catalog.cardinality(months) LOOP
        month := months[place];
        partition_name := public.audit_partition_name_v1(month);
        copied := 0;
        IF spare IS NOT NULL THEN
            EXECUTE pg_catalog.format(copy || 'txid >= $3', partition_name, spare)
                USING month, public.audit_next_month_v1(month), running_from;
            GET DIAGNOSTICS copied = ROW_COUNT;
        END IF;
        EXECUTE pg_catalog.format('ALTER TABLE %s ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
            ledger, partition_name, month, public.audit_next_month_v1(month));
        EXECUTE pg_catalog.format('ALTER TABLE public.%I DROP CONSTRAINT audit_month', partition_name);
        moved_events := early[place] + copied;
        all_copied := all_copied + moved_events;
        RETURN NEXT;
    END LOOP;

    IF spare IS NOT NULL THEN
        EXECUTE pg_catalog.format('SELECT pg_catalog.count(*) FROM %s', spare) INTO held;
        IF held = 0 THEN
            EXECUTE pg_catalog.format('ALTER TABLE %s ATTACH PARTITION %s DEFAULT', ledger, spare);
            RETURN;
        END IF;
        EXECUTE pg_catalog.format('ALTER TABLE %s RENAME TO audit_event_emptied', spare);
    END IF;
    -- It's attached last: a row trigger of the ledger has seen these events already.
    CREATE TABLE public.audit_event_default (LIKE public.audit_event INCLUDING ALL);
    PERFORM public.audit_close_partition_v1('audit_event_default');
    IF spare IS NOT NULL THEN
        EXECUTE pg_catalog.format(
            'INSERT INTO public.audit_event_default (%1$s) SELECT %1$s FROM %2$s '
            'WHERE pg_catalog.date_trunc(''month'', recorded_at, ''UTC'') <> ALL ($1)', column_list, spare)
        USING months;
        GET DIAGNOSTICS copied = ROW_COUNT;
        IF all_copied + copied <> held THEN
            RAISE EXCEPTION 'Of % events in the default partition % were copied; nothing is changed.',
                held, all_copied + copied;
        END IF;
        EXECUTE pg_catalog.format('DROP TABLE %s', spare);
    END IF;
    ALTER TABLE public.audit_event ATTACH PARTITION public.audit_event_default DEFAULT;
END
$$;

REVOKE ALL ON FUNCTION
    public.audit_close_partition_v1(text), public.audit_partition_name_v1(timestamptz),
    public.audit_next_month_v1(timestamptz), public.audit_ensure_partitions_v1(timestamptz, integer) FROM PUBLIC;

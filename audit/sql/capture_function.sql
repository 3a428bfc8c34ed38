CREATE OR REPLACE FUNCTION public.$function() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER $settings AS $$capture$$
#variable_conflict use_column
DECLARE
    -- The context, as audit/literal.py writes it: text apart by unit separators, which cost less to read than JSON.
    about text[] := pg_catalog.string_to_array(
        coalesce(nullif(pg_catalog.current_setting('audit.context', true), ''), public.audit_database_context_v1()),
        E'\x1f');
    more jsonb := about[11]::jsonb;
    is_drifted boolean := $any_later_column IS NOT NULL;
    key_columns text[];
    written record;
    first_written record;
    written_count integer := 0;
    first_events jsonb;  -- only of a statement that changed many rows
BEGIN
    IF NOT is_drifted THEN
        -- The block costs next to nothing, and lets a column that was renamed, dropped or retyped behind our back fail
        -- this text and not the write.
        BEGIN
            $write_rows
        EXCEPTION WHEN undefined_column OR undefined_function OR datatype_mismatch OR cannot_coerce THEN
            is_drifted := true;
            written_count := 0;
            first_events := NULL;
        END;
    END IF;
    IF is_drifted THEN
        SELECT pg_catalog.array_agg(a.attname::text ORDER BY pg_catalog.array_position(i.indkey::smallint[], a.attnum))
        INTO key_columns
        FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a
            ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::smallint[])
        WHERE i.indrelid = TG_RELID AND i.indisprimary;
        $write_drifted_rows
    END IF;
    IF written_count > 0 AND about[1] = 'echo' THEN
        RAISE NOTICE 'audit.model_changed' USING ERRCODE = 'AU001', DETAIL = pg_catalog.jsonb_build_object(
            'object_type', $subject, 'count', written_count,
            'events', coalesce(first_events, pg_catalog.jsonb_build_array($first_event)))::text;
    END IF;
    RETURN NULL;
END
$$capture$$

CREATE OR REPLACE FUNCTION public.$function() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$capture$$
DECLARE
    raw text := pg_catalog.current_setting('audit.context', true);
    about jsonb := CASE WHEN raw IS NULL OR raw = '' THEN public.audit_database_context_v1() ELSE raw::jsonb END;
    actor_type text := about ->> 'actor_type';
    actor_id text := about ->> 'actor_id';
    actor_label text := about ->> 'actor_label';
    request_id text := about ->> 'request_id';
    trace_id text := about ->> 'trace_id';
    span_id text := about ->> 'span_id';
    task_id text := about ->> 'task_id';
    origin text := about ->> 'origin';
    operation text := about ->> 'operation';
    more jsonb := about -> 'context';
    written record;
    written_count integer := 0;
    events jsonb := '[]';
BEGIN
    IF about ? 'echo' THEN
        -- The echo: the one row, or of many the number and the first few. A loop beats an aggregate for one row.
        FOR written IN
            INSERT INTO public.audit_event AS e (
                action, object_type, object_id, changes, actor_type, actor_id, actor_label,
                request_id, trace_id, span_id, task_id, origin, operation, context)
            SELECT c.action, $subject, c.object_id, c.changes, actor_type, actor_id, actor_label,
                   request_id, trace_id, span_id, task_id, origin, operation, more
            FROM ($rows) c (action, object_id, changes)
            RETURNING e.id, e.action, e.object_id, e.changes
        LOOP
            written_count := written_count + 1;
            IF written_count <= 5 THEN
                events := events || pg_catalog.jsonb_build_object(
                    'id', written.id, 'action', written.action,
                    'object_id', written.object_id, 'changes', written.changes);
            END IF;
        END LOOP;
        IF written_count > 0 THEN
            RAISE NOTICE 'audit.model_changed' USING ERRCODE = 'AU001', DETAIL = pg_catalog.jsonb_build_object(
                'object_type', $subject, 'count', written_count, 'events', events)::text;
        END IF;
    ELSE
        INSERT INTO public.audit_event (
            action, object_type, object_id, changes, actor_type, actor_id, actor_label,
            request_id, trace_id, span_id, task_id, origin, operation, context)
        SELECT c.action, $subject, c.object_id, c.changes, actor_type, actor_id, actor_label,
               request_id, trace_id, span_id, task_id, origin, operation, more
        FROM ($rows) c (action, object_id, changes);
    END IF;
    RETURN NULL;
END
$$capture$$

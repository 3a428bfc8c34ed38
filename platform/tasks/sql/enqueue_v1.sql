-- Write down a task that is asked for, and return 1. NULL where its id was used before, or an unfinished run has its
-- unique key.
CREATE FUNCTION public.tasks_enqueue_v1(
    p_id uuid, p_name text, p_queue text, p_priority integer, p_arguments text, p_message text, p_carrier text,
    p_unique_key text, p_dead_letter text, p_max_attempts integer, p_eta timestamptz, p_is_sent boolean,
    p_request_id text, p_trace_id text, p_actor_type text, p_actor_id text, p_actor_label text, p_parent_task_id text
)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_written integer;
BEGIN
    INSERT INTO public.tasks_taskrun (
        id, name, queue, priority, arguments, message, carrier, unique_key, dead_letter, max_attempts, eta,
        enqueued_at, sent_at,
        request_id, trace_id, actor_type, actor_id, actor_label, parent_task_id,
        outcome, attempts, duplicates, worker, progress_done, progress_total, progress_note, error
    )
    VALUES (
        p_id, p_name, p_queue, p_priority, p_arguments::jsonb, p_message, p_carrier::jsonb, p_unique_key,
        p_dead_letter, p_max_attempts, p_eta,
        statement_timestamp(), CASE WHEN p_is_sent THEN statement_timestamp() END,
        p_request_id, p_trace_id, p_actor_type, p_actor_id, p_actor_label, p_parent_task_id,
        '', 0, 0, '', 0, 0, '', ''
    )
    ON CONFLICT DO NOTHING
    RETURNING 1 INTO v_written;
    RETURN v_written;
END
$$;

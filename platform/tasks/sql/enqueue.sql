-- Write down a task that is asked for. No row where its id was used before, or an unfinished run has its unique key.
INSERT INTO tasks_taskrun (
    id, name, queue, priority, arguments, message, carrier, unique_key, dead_letter, max_attempts, eta,
    enqueued_at, sent_at,
    request_id, trace_id, actor_type, actor_id, actor_label, parent_task_id,
    outcome, attempts, duplicates, worker, progress_done, progress_total, progress_note, error
)
VALUES (
    %(id)s, %(name)s, %(queue)s, %(priority)s, %(arguments)s, %(message)s, %(carrier)s, %(unique_key)s,
    %(dead_letter)s, %(max_attempts)s, %(eta)s,
    statement_timestamp(), CASE WHEN %(is_sent)s THEN statement_timestamp() END,
    %(request_id)s, %(trace_id)s, %(actor_type)s, %(actor_id)s, %(actor_label)s, %(parent_task_id)s,
    '', 0, 0, '', 0, 0, '', ''
)
ON CONFLICT DO NOTHING
RETURNING id

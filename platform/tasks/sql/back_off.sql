-- End an attempt and let its run wait for the next one, or end it where somebody has cancelled it meanwhile: no worker
-- would begin it again. One row with whether it waits, or none where the attempt isn't the run's present one.
WITH held AS (
    SELECT id, attempts, worker, attempt_trace_id, started_at
    FROM tasks_taskrun
    -- As in `attempts_v2.sql`, so that the index of the unfinished ones isn't taken.
    WHERE id = %(run_id)s AND attempts = %(attempt)s AND octet_length(outcome) = 0 AND lease_expires_at IS NOT NULL
    FOR NO KEY UPDATE
), ended AS (
    UPDATE tasks_taskrun AS run
    SET lease_expires_at = NULL,
        worker = '',
        outcome = CASE WHEN cancel_requested_at IS NULL THEN '' ELSE 'cancelled' END,
        finished_at = CASE WHEN cancel_requested_at IS NOT NULL THEN clock_timestamp() END,
        error = CASE WHEN cancel_requested_at IS NULL THEN error ELSE %(error)s END,
        eta = clock_timestamp() + make_interval(secs => %(delay_seconds)s),
        sent_at = CASE WHEN %(is_sent)s THEN clock_timestamp() END,
        message = coalesce(%(message)s, message)
    FROM held
    WHERE run.id = held.id
    RETURNING run.outcome = '' AS waits
), kept AS (
    INSERT INTO tasks_taskattempt (run_id, number, worker, trace_id, started_at, ended_at, outcome, error)
    SELECT id, attempts, worker, attempt_trace_id, started_at, clock_timestamp(), %(attempt_outcome)s, %(error)s
    FROM held
    -- An attempt that an older release began has a row already.
    ON CONFLICT (run_id, number) DO UPDATE
    SET ended_at = excluded.ended_at, outcome = excluded.outcome, error = excluded.error
)
SELECT waits FROM ended

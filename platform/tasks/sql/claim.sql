-- Begin an attempt of a run that waits. No row where there's nothing to begin: it's finished, at work elsewhere,
-- cancelled, or its queue is paused. It isn't waited for on the disk: a server that loses a claim in a crash has a run
-- that waits, and that is begun again.
WITH claimed AS (
    UPDATE tasks_taskrun
    SET attempts = attempts + 1,
        started_at = clock_timestamp(),
        lease_expires_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s),
        worker = %(worker)s
    WHERE id = %(run_id)s
      AND outcome = ''
      AND lease_expires_at IS NULL
      AND cancel_requested_at IS NULL
      AND attempts < max_attempts
      AND NOT EXISTS (SELECT FROM tasks_queue WHERE name = tasks_taskrun.queue AND is_paused)
      AND set_config('synchronous_commit', 'off', true) = 'off'
    RETURNING id, attempts, started_at
)
INSERT INTO tasks_taskattempt (run_id, number, worker, trace_id, started_at, outcome, error)
SELECT id, attempts, %(worker)s, %(trace_id)s, started_at, '', ''
FROM claimed
RETURNING number

-- End an attempt and let its run wait for the next one. No row where the attempt isn't the run's present one.
WITH ended AS (
    UPDATE tasks_taskrun
    SET lease_expires_at = NULL,
        worker = '',
        eta = clock_timestamp() + make_interval(secs => %(delay_seconds)s),
        sent_at = CASE WHEN %(is_sent)s THEN clock_timestamp() END,
        message = coalesce(%(message)s, message)
    WHERE id = %(run_id)s AND attempts = %(attempt)s AND outcome = '' AND lease_expires_at IS NOT NULL
    RETURNING id, attempts, eta
)
UPDATE tasks_taskattempt
SET ended_at = clock_timestamp(), outcome = %(attempt_outcome)s, error = %(error)s
FROM ended
WHERE run_id = ended.id AND number = ended.attempts
RETURNING ended.eta

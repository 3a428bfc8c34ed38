-- End an attempt and let its run wait for the next one, or end it where somebody has cancelled it meanwhile: no worker
-- would begin it again. One row with whether it waits, or none where the attempt isn't the run's present one.
WITH ended AS (
    UPDATE tasks_taskrun
    SET lease_expires_at = NULL,
        worker = '',
        outcome = CASE WHEN cancel_requested_at IS NULL THEN '' ELSE 'cancelled' END,
        finished_at = CASE WHEN cancel_requested_at IS NOT NULL THEN clock_timestamp() END,
        error = CASE WHEN cancel_requested_at IS NULL THEN error ELSE %(error)s END,
        eta = clock_timestamp() + make_interval(secs => %(delay_seconds)s),
        sent_at = CASE WHEN %(is_sent)s THEN clock_timestamp() END,
        message = coalesce(%(message)s, message)
    WHERE id = %(run_id)s AND attempts = %(attempt)s AND outcome = '' AND lease_expires_at IS NOT NULL
    RETURNING id, attempts, outcome = '' AS waits
)
UPDATE tasks_taskattempt
SET ended_at = clock_timestamp(), outcome = %(attempt_outcome)s, error = %(error)s
FROM ended
WHERE run_id = ended.id AND number = ended.attempts
RETURNING ended.waits

-- End an attempt and its run. No row where the attempt isn't the run's present one: its lease is lost.
WITH ended AS (
    UPDATE tasks_taskrun
    SET outcome = %(outcome)s,
        finished_at = clock_timestamp(),
        lease_expires_at = NULL,
        error = %(error)s,
        result = %(result)s::jsonb,
        message = CASE WHEN %(outcome)s = 'succeeded' THEN NULL ELSE message END
    WHERE id = %(run_id)s AND attempts = %(attempt)s AND outcome = '' AND lease_expires_at IS NOT NULL
    RETURNING id, attempts
)
UPDATE tasks_taskattempt
SET ended_at = clock_timestamp(), outcome = %(attempt_outcome)s, error = %(error)s
FROM ended
WHERE run_id = ended.id AND number = ended.attempts
RETURNING number

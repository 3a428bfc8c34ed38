-- Note how far a run has come. One row with whether it's to stop, or none where the attempt isn't its present one.
UPDATE tasks_taskrun
SET progress_done = %(done)s, progress_total = %(total)s, progress_note = %(note)s
WHERE id = %(run_id)s AND attempts = %(attempt)s AND octet_length(outcome) = 0 AND lease_expires_at IS NOT NULL
RETURNING cancel_requested_at IS NOT NULL

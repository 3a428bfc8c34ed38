-- Lock a run for the rest of the transaction, if the attempt is its present one. Who then stands still for too long
-- loses the transaction, and with it the lock: else nobody could go on with the run.
SELECT set_config('idle_in_transaction_session_timeout', %(idle_milliseconds)s, true)
FROM tasks_taskrun
WHERE id = %(run_id)s AND attempts = %(attempt)s AND octet_length(outcome) = 0 AND lease_expires_at IS NOT NULL
FOR NO KEY UPDATE

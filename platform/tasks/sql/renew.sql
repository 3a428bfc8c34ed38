-- Renew the leases of a worker's runs. One that a transaction of its task has locked is left out, so that it holds up
-- none of the others: its lease can't be taken while it's locked.
UPDATE tasks_taskrun
SET lease_expires_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
FROM (
    SELECT id
    FROM tasks_taskrun
    WHERE id = ANY (%(run_ids)s) AND worker = %(worker)s AND octet_length(outcome) = 0 AND lease_expires_at IS NOT NULL
    FOR NO KEY UPDATE SKIP LOCKED
) AS held
WHERE tasks_taskrun.id = held.id

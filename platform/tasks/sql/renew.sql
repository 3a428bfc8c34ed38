-- Renew the leases of a worker's runs.
UPDATE tasks_taskrun
SET lease_expires_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
WHERE id = ANY (%(run_ids)s) AND worker = %(worker)s AND outcome = '' AND lease_expires_at IS NOT NULL

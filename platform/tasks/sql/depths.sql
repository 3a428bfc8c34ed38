-- How much of each queue is due, waits for its time, and runs; and for how long the oldest has been due.
SELECT queue,
       count(*) FILTER (WHERE is_due),
       count(*) FILTER (WHERE lease_expires_at IS NULL AND NOT is_due),
       count(*) FILTER (WHERE lease_expires_at IS NOT NULL),
       extract(epoch FROM clock_timestamp() - min(greatest(enqueued_at, eta)) FILTER (WHERE is_due))::float8
FROM (
    SELECT queue, enqueued_at, eta, lease_expires_at,
           lease_expires_at IS NULL AND (eta IS NULL OR eta <= now()) AS is_due
    FROM tasks_taskrun
    WHERE outcome = ''
) AS unfinished
GROUP BY queue

-- How long the first attempts of what was lately asked for waited for a worker, by queue: of a bounded number.
SELECT queue,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY wait_seconds),
       percentile_cont(0.95) WITHIN GROUP (ORDER BY wait_seconds)
FROM (
    SELECT queue,
           greatest(0, extract(epoch FROM started_at - CASE
               WHEN eta <= started_at THEN greatest(enqueued_at, eta)
               ELSE enqueued_at  -- a later one is the next attempt's
           END))::float8 AS wait_seconds
    FROM (
        SELECT queue, enqueued_at, eta, started_at, attempts
        FROM tasks_taskrun
        WHERE enqueued_at > now() - make_interval(secs => %(age_seconds)s)
        ORDER BY enqueued_at DESC, id DESC
        LIMIT %(most)s
    ) AS latest
    WHERE attempts = 1
) AS waits
GROUP BY queue

-- Take the runs that wait and whose message has to be sent: those that are due and were never sent, and those whose
-- message is lost. It's lost where it was sent a while ago and its queue is empty by now, or one that was sent well
-- after it is at work already. To take a run marks it as sent; who takes it must send it, or say that it couldn't.
WITH at_work AS MATERIALIZED (  -- once: statistics know little of rows this young
    SELECT queue, priority, max(sent_at) AS sent_at
    FROM tasks_taskrun
    WHERE outcome = '' AND lease_expires_at IS NOT NULL AND eta IS NULL
    GROUP BY queue, priority
), due AS (
    SELECT waiting.id, waiting.sent_at IS NOT NULL AS is_lost
    FROM tasks_taskrun AS waiting
    LEFT JOIN at_work USING (queue, priority)
    WHERE waiting.outcome = ''
      AND waiting.lease_expires_at IS NULL
      AND waiting.cancel_requested_at IS NULL
      AND (waiting.eta IS NULL OR waiting.eta <= clock_timestamp())
      AND NOT EXISTS (SELECT FROM tasks_queue WHERE name = waiting.queue AND is_paused)
      AND (
          (
              waiting.sent_at IS NULL
              AND waiting.enqueued_at <= clock_timestamp() - make_interval(secs => %(age_seconds)s)
          )
          OR (
              greatest(waiting.sent_at, waiting.eta) <= clock_timestamp() - make_interval(secs => %(lost_seconds)s)
              AND (
                  waiting.queue = ANY (%(empty_queues)s)
                  OR at_work.sent_at > greatest(waiting.sent_at, waiting.eta) + interval '5 seconds'
              )
          )
      )
    ORDER BY waiting.priority, waiting.enqueued_at
    LIMIT %(most)s
    FOR NO KEY UPDATE OF waiting SKIP LOCKED
)
UPDATE tasks_taskrun
SET sent_at = clock_timestamp()
FROM due
WHERE tasks_taskrun.id = due.id
RETURNING tasks_taskrun.id, due.is_lost

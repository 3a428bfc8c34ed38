-- Take the runs that wait and whose message has to be sent: those that are due and were never sent, and those whose
-- message is lost. It's lost where it was sent a while ago and its queue is empty by now, or one that was sent well
-- after it is at work already. To take a run marks it as sent; who takes it must send it, or say that it couldn't.
WITH due AS (
    SELECT id, sent_at IS NOT NULL AS is_lost
    FROM tasks_taskrun AS waiting
    WHERE outcome = ''
      AND lease_expires_at IS NULL
      AND cancel_requested_at IS NULL
      AND (eta IS NULL OR eta <= clock_timestamp())
      AND NOT EXISTS (SELECT FROM tasks_queue WHERE name = waiting.queue AND is_paused)
      AND (
          (sent_at IS NULL AND enqueued_at <= clock_timestamp() - make_interval(secs => %(age_seconds)s))
          OR (
              greatest(sent_at, eta) <= clock_timestamp() - make_interval(secs => %(lost_seconds)s)
              AND (
                  queue = ANY (%(empty_queues)s)
                  OR EXISTS (
                      SELECT FROM tasks_taskrun AS later
                      WHERE later.outcome = ''
                        AND later.queue = waiting.queue
                        AND later.priority = waiting.priority
                        AND later.lease_expires_at IS NOT NULL
                        AND later.eta IS NULL
                        AND later.sent_at > greatest(waiting.sent_at, waiting.eta) + interval '5 seconds'
                  )
              )
          )
      )
    ORDER BY priority, enqueued_at
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
)
UPDATE tasks_taskrun
SET sent_at = clock_timestamp()
FROM due
WHERE tasks_taskrun.id = due.id
RETURNING tasks_taskrun.id, due.is_lost

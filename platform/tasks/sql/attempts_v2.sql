-- The beginning and the end of an attempt: what each task costs. As functions, since the server keeps their plans: to
-- plan them took as long as to run them.
--
-- The run's row tells of its present attempt, and of the one that succeeded; a row of its own is written for one that
-- ended in any other way. `octet_length(outcome) = 0`, and not `outcome = ''`, wherever a run is looked for by its id:
-- else the planner may take the index of the unfinished ones, since it's small where little is known of it, and reads
-- all that waits.

-- Begin an attempt of a run that waits, and return its number. NULL where there's nothing to begin: the run is finished,
-- at work elsewhere or cancelled, or its queue is paused.
CREATE FUNCTION public.tasks_claim_v2(p_run_id uuid, p_worker text, p_trace_id text, p_lease_seconds double precision)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_number integer;
BEGIN
    UPDATE public.tasks_taskrun AS run
    SET attempts = run.attempts + 1,
        started_at = clock_timestamp(),
        lease_expires_at = clock_timestamp() + make_interval(secs => p_lease_seconds),
        worker = p_worker,
        attempt_trace_id = p_trace_id
    WHERE run.id = p_run_id
      AND octet_length(run.outcome) = 0
      AND run.lease_expires_at IS NULL
      AND run.cancel_requested_at IS NULL
      AND run.attempts < run.max_attempts
      AND NOT EXISTS (SELECT FROM public.tasks_queue AS queue WHERE queue.name = run.queue AND queue.is_paused)
      -- It isn't waited for on the disk: a server that loses a claim in a crash has a run that waits.
      AND set_config('synchronous_commit', 'off', true) = 'off'
    RETURNING run.attempts INTO v_number;
    RETURN v_number;
END
$$;

-- End an attempt and its run, and return the attempt's number. NULL where the attempt isn't the run's present one: its
-- lease is lost.
CREATE FUNCTION public.tasks_finish_v2(
    p_run_id uuid, p_attempt integer, p_outcome text, p_attempt_outcome text, p_result text, p_error text
)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_number integer;
BEGIN
    UPDATE public.tasks_taskrun AS run
    SET outcome = p_outcome,
        finished_at = clock_timestamp(),
        lease_expires_at = NULL,
        error = p_error,
        result = p_result::jsonb,
        message = CASE WHEN p_outcome = 'succeeded' THEN NULL ELSE run.message END
    WHERE run.id = p_run_id
      AND run.attempts = p_attempt
      AND octet_length(run.outcome) = 0
      AND run.lease_expires_at IS NOT NULL
    RETURNING run.attempts INTO v_number;
    IF v_number IS NOT NULL AND p_attempt_outcome <> 'succeeded' THEN
        -- An attempt that an older release began has a row already.
        INSERT INTO public.tasks_taskattempt AS attempt
            (run_id, number, worker, trace_id, started_at, ended_at, outcome, error)
        SELECT run.id, run.attempts, run.worker, run.attempt_trace_id, run.started_at, run.finished_at,
               p_attempt_outcome, p_error
        FROM public.tasks_taskrun AS run
        WHERE run.id = p_run_id
        ON CONFLICT (run_id, number) DO UPDATE
        SET ended_at = excluded.ended_at, outcome = excluded.outcome, error = excluded.error;
    END IF;
    RETURN v_number;
END
$$;

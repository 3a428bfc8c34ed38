-- The beginning and the end of an attempt: what each task costs. As functions, since the server keeps their plans: to
-- plan them took as long as to run them.

-- Begin an attempt of a run that waits, and return its number. NULL where there's nothing to begin: the run is finished,
-- at work elsewhere or cancelled, or its queue is paused.
CREATE FUNCTION public.tasks_claim_v1(p_run_id uuid, p_worker text, p_trace_id text, p_lease_seconds double precision)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_number integer;
BEGIN
    WITH claimed AS (
        UPDATE public.tasks_taskrun AS run
        SET attempts = run.attempts + 1,
            started_at = clock_timestamp(),
            lease_expires_at = clock_timestamp() + make_interval(secs => p_lease_seconds),
            worker = p_worker
        WHERE run.id = p_run_id
          AND run.outcome = ''
          AND run.lease_expires_at IS NULL
          AND run.cancel_requested_at IS NULL
          AND run.attempts < run.max_attempts
          AND NOT EXISTS (SELECT FROM public.tasks_queue AS queue WHERE queue.name = run.queue AND queue.is_paused)
          -- It isn't waited for on the disk: a server that loses a claim in a crash has a run that waits.
          AND set_config('synchronous_commit', 'off', true) = 'off'
        RETURNING run.id, run.attempts, run.started_at
    )
    INSERT INTO public.tasks_taskattempt (run_id, number, worker, trace_id, started_at, outcome, error)
    SELECT id, attempts, p_worker, p_trace_id, started_at, '', ''
    FROM claimed
    RETURNING number INTO v_number;
    RETURN v_number;
END
$$;

-- End an attempt and its run, and return the attempt's number. NULL where the attempt isn't the run's present one: its
-- lease is lost.
CREATE FUNCTION public.tasks_finish_v1(
    p_run_id uuid, p_attempt integer, p_outcome text, p_attempt_outcome text, p_result text, p_error text
)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_number integer;
BEGIN
    WITH ended AS (
        UPDATE public.tasks_taskrun AS run
        SET outcome = p_outcome,
            finished_at = clock_timestamp(),
            lease_expires_at = NULL,
            error = p_error,
            result = p_result::jsonb,
            message = CASE WHEN p_outcome = 'succeeded' THEN NULL ELSE run.message END
        WHERE run.id = p_run_id AND run.attempts = p_attempt AND run.outcome = '' AND run.lease_expires_at IS NOT NULL
        RETURNING run.id, run.attempts
    )
    UPDATE public.tasks_taskattempt AS attempt
    SET ended_at = clock_timestamp(), outcome = p_attempt_outcome, error = p_error
    FROM ended
    WHERE attempt.run_id = ended.id AND attempt.number = ended.attempts
    RETURNING attempt.number INTO v_number;
    RETURN v_number;
END
$$;

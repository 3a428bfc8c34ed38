SELECT public.tasks_claim_v2(%(run_id)s, %(worker)s, %(trace_id)s, %(lease_seconds)s)

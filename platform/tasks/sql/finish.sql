SELECT public.tasks_finish_v2(%(run_id)s, %(attempt)s, %(outcome)s, %(attempt_outcome)s, %(result)s, %(error)s)

-- Note that a run has made an effect. No row where it had made it before.
INSERT INTO tasks_taskeffect (run_id, name)
VALUES (%(run_id)s, %(effect)s)
ON CONFLICT DO NOTHING
RETURNING id

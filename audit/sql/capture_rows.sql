FOR written IN
    INSERT INTO public.audit_event AS e (
        action, object_type, object_id, changes, actor_type, actor_id, actor_label,
        request_id, trace_id, span_id, task_id, origin, operation, context)
    SELECT c.action, $subject, c.object_id, c.changes,
           about[2], about[3], about[4], about[5], about[6], about[7], about[8], about[9], about[10], more
    FROM ($rows) c (action, object_id, changes)
    RETURNING e.id, e.action, e.object_id, e.changes
LOOP
    $count
END LOOP;

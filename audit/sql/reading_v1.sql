-- How the ledger is read: by time, and by whom, what and which request. Released SQL is frozen: changes come as _v2.
-- Each index is paid for by every write. These are narrow: PostgreSQL keeps equal keys once, with a list of their rows.

-- Pages go by time. An event is found by its id through a block range index, which costs next to nothing.
ALTER TABLE public.audit_event DROP CONSTRAINT audit_event_pkey;
ALTER TABLE public.audit_event ADD PRIMARY KEY (recorded_at, id);
DROP INDEX public.audit_event_time;
CREATE INDEX audit_event_sequence ON public.audit_event
    USING brin (id, (txid::text::bigint)) WITH (autosummarize = on);

-- Without the time: partitions are a month's, so what one key has in a month is sorted quickly enough.
DROP INDEX public.audit_event_actor;
CREATE INDEX audit_event_actor ON public.audit_event (actor_id);
-- For prefixes too, whatever the database's collation.
CREATE INDEX audit_event_action ON public.audit_event (action text_pattern_ops);
-- Trace ids are random and long, so their hash is kept.
CREATE INDEX audit_event_trace ON public.audit_event (pg_catalog.hashtext(trace_id)) WHERE trace_id <> '';
CREATE INDEX audit_event_task ON public.audit_event (task_id) WHERE task_id <> '';
CREATE INDEX audit_event_failed ON public.audit_event (recorded_at, id) WHERE outcome <> 'success';

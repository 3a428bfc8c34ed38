-- What stands in this database of the ledger's captures, partitions and guards, as one JSON text.
SELECT pg_catalog.json_build_object(
    'captures', (
        SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'table', c.relname, 'name', t.tgname, 'enabled', t.tgenabled,
            'definition', pg_catalog.pg_get_triggerdef(t.oid),
            'body', pg_catalog.md5(p.prosrc), 'is_definer', p.prosecdef)), '[]'::json)
        FROM pg_catalog.pg_trigger t
        JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid AND c.relnamespace = 'public'::regnamespace
        JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
        WHERE NOT t.tgisinternal AND t.tgname IN ('audit_insert', 'audit_update', 'audit_delete', 'audit_truncate')),
    'partitions', (
        SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'is_default', bound = 'DEFAULT', 'bytes', pg_catalog.pg_relation_size(c.oid),
            'from', pg_catalog.substring(bound, 'FROM \(''([^'']+)''\)')::timestamptz,
            'to', pg_catalog.substring(bound, 'TO \(''([^'']+)''\)')::timestamptz)), '[]'::json)
        FROM pg_catalog.pg_inherits i
        JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
        CROSS JOIN LATERAL pg_catalog.pg_get_expr(c.relpartbound, c.oid) bound
        WHERE i.inhparent = 'public.audit_event'::regclass),
    'unguarded', (
        SELECT coalesce(pg_catalog.json_agg(c.relname ORDER BY c.relname), '[]'::json)
        FROM (
            SELECT relid FROM pg_catalog.pg_partition_tree('public.audit_event')
            UNION ALL SELECT 'public.audit_key'::regclass) kept
        JOIN pg_catalog.pg_class c ON c.oid = kept.relid
        WHERE c.relname <> 'audit_key' AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_trigger t
                WHERE t.tgrelid = c.oid AND t.tgname = 'audit_append_only' AND t.tgenabled IN ('O', 'A')
                    AND t.tgfoid = 'public.audit_refuse_v1()'::regprocedure)
            OR EXISTS (
                -- The ledger itself may be read, its partitions and the key by nobody but the owner's functions.
                SELECT FROM pg_catalog.aclexplode(c.relacl) acl
                WHERE acl.grantee <> c.relowner
                    AND (acl.privilege_type <> 'SELECT' OR c.relname <> 'audit_event'))))::text

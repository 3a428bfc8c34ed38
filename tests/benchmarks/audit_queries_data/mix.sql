-- A year of a busy platform, made up by arithmetic: event number `e` is always the same one. `bench.scale` holds how many
-- events there are, when they begin and end, and the first transaction number.

CREATE SCHEMA bench;
CREATE TABLE bench.scale (
    total bigint NOT NULL, begins timestamptz NOT NULL, ends timestamptz NOT NULL, first_txid bigint NOT NULL
);

CREATE FUNCTION bench.random(number bigint, seed integer) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.hashint8extended(number, seed) & 9223372036854775807;

CREATE FUNCTION bench.share(number bigint, seed integer) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (pg_catalog.hashint8extended(number, seed) & 4294967295) / 4294967296.0::double precision;

CREATE FUNCTION bench.uuid7(moment timestamptz, number bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT pg_catalog.lpad(pg_catalog.to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')
    || '7' || pg_catalog.substr(digest, 1, 3) || 'a' || pg_catalog.substr(digest, 4, 15)
    FROM (SELECT pg_catalog.md5(number::text) AS digest OFFSET 0) hashed);

-- What happens in each kind of work, in parts of 10,000. `objects` says how the object is chosen: a new one each time, the
-- first of a long tail, any of that tail with its eight hot ones, one of recent ones, one of a few, the actor, or none.
CREATE TABLE bench.mix AS
WITH parts (origin, action, outcome, objects, form, operation, weight) AS (VALUES
    ('websocket', 'chat.message.created', 'success', 'new', 'message', 'chat', 9400),
    ('websocket', 'notifications.notification.created', 'success', 'new', 'notification', 'chat', 440),
    ('websocket', 'chat.message.deleted', 'success', 'recent', 'message', 'chat', 100),
    ('websocket', 'chat.room.updated', 'success', 'few', 'edit', 'chat', 50),
    ('websocket', 'sockets.origin.refused', 'denied', 'none', 'refusal', 'chat', 10),
    ('http', 'blog.post.updated', 'success', 'tail', 'edit', 'POST /blog/<slug>/edit/', 1900),
    ('http', 'blog.post.updated', 'success', 'tail', 'publication', 'POST /blog/<slug>/publish/', 300),
    ('http', 'blog.post.created', 'success', 'first', 'post', 'POST /blog/new/', 440),
    ('http', 'blog.post.deleted', 'success', 'tail', 'post', 'POST /blog/<slug>/delete/', 80),
    ('http', 'blog.comment.created', 'success', 'new', 'comment', 'POST /blog/<slug>/comments/', 1700),
    ('http', 'blog.comment.updated', 'success', 'recent', 'edit', 'POST /blog/comments/<pk>/edit/', 150),
    ('http', 'blog.comment.deleted', 'success', 'recent', 'comment', 'POST /blog/comments/<pk>/delete/', 120),
    ('http', 'blog.image.created', 'success', 'new', 'image', 'POST /api/blog/posts/<pk>/images/', 100),
    ('http', 'blog.access.denied', 'denied', 'tail', 'refusal', 'GET /blog/<slug>/', 30),
    ('http', 'chat.message.created', 'success', 'new', 'message', 'POST /api/chat/rooms/<slug>/messages/', 1500),
    ('http', 'notifications.notification.updated', 'success', 'recent', 'reading', 'POST /notifications/read/', 1300),
    ('http', 'tasks.taskrun.created', 'success', 'recent', 'task', 'POST /api/blog/posts/', 520),
    ('http', 'accounts.user.logged_in', 'success', 'actor', 'login', 'POST /accounts/login/', 900),
    ('http', 'accounts.user.logged_out', 'success', 'actor', 'nothing', 'POST /accounts/logout/', 320),
    ('http', 'accounts.user.login_failed', 'denied', 'none', 'failure', 'POST /accounts/login/', 300),
    ('http', 'audit.ledger.read', 'success', 'none', 'search', 'GET /api/audit/events/', 318),
    ('http', 'accounts.user.updated', 'success', 'actor', 'edit', 'POST /accounts/profile/', 18),
    ('http', 'accounts.apitoken.created', 'success', 'new', 'task', 'POST /accounts/tokens/', 3),
    ('http', 'auth.group.updated', 'success', 'few', 'link', 'POST /admin/auth/group/<pk>/change/', 1),
    ('task', 'tasks.taskrun.updated', 'success', 'recent', 'progress', 'notifications.deliver', 6480),
    ('task', 'tasks.taskrun.created', 'success', 'recent', 'task', 'blog.publish_due', 800),
    ('task', 'notifications.notification.created', 'success', 'new', 'notification', 'notifications.deliver', 2450),
    ('task', 'blog.post.updated', 'success', 'tail', 'publication', 'blog.publish_due', 250),
    ('task', 'blog.import.failed', 'error', 'tail', 'refusal', 'blog.import_posts', 20),
    ('beat', 'tasks.taskrun.created', 'success', 'recent', 'task', 'beat', 10000),
    ('command', 'blog.post.updated', 'success', 'tail', 'edit', 'import_posts', 6000),
    ('command', 'blog.post.created', 'success', 'new', 'post', 'import_posts', 3000),
    ('command', 'blog.image.created', 'success', 'new', 'image', 'import_posts', 900),
    ('command', 'accounts.user.updated', 'success', 'few', 'edit', 'create_users', 100),
    ('sql', 'blog.post.updated', 'success', 'tail', 'edit', 'psql', 7000),
    ('sql', 'accounts.user.updated', 'success', 'few', 'edit', 'psql', 3000)
),
placed AS (
    SELECT *, sum(weight) OVER (PARTITION BY origin ORDER BY action, form ROWS UNBOUNDED PRECEDING) AS behind FROM parts
)
SELECT origin, slot::integer, action, outcome, objects, form, operation,
       CASE WHEN action IN ('audit.ledger.read', 'sockets.origin.refused', 'blog.import.failed') THEN ''
            WHEN action = 'blog.access.denied' THEN 'blog.post'
            ELSE pg_catalog.regexp_replace(action, '\.[^.]+$', '') END AS object_type
FROM placed, generate_series(behind - weight, behind - 1) slot;
ALTER TABLE bench.mix ADD PRIMARY KEY (origin, slot);

CREATE TABLE bench.agent AS SELECT number, text FROM (VALUES
    (0, 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36'),
    (1, 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15'),
    (2, 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'),
    (3, 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1'),
    (4, 'python-httpx/0.28.1')
) agents (number, text);

-- Some text to cut from: short, so that a piece from anywhere is quickly found.
CREATE FUNCTION bench.words(number bigint, length integer) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.substr('$words', (bench.random(number, 11) % 600)::integer + 1, length);

-- Twenty events are eleven requests and twelve transactions, of one to five events each; and now and then 5,000 events
-- are one run of a command in one transaction.
CREATE FUNCTION bench.events(first bigint, last bigint) RETURNS TABLE (
    e bigint, recorded_at timestamptz, txid bigint, action text, outcome text, object_type text, object_id text,
    changes jsonb, actor_type text, actor_id text, actor_label text, request_id text, trace_id text, span_id text,
    task_id text, origin text, operation text, context jsonb
) LANGUAGE sql STABLE AS $$
SELECT n.e, t.moment, s.first_txid + b.transaction, m.action, m.outcome, m.object_type,
    o.object_id, c.changes, u.type, u.id, u.label,
    CASE WHEN k.origin = 'sql' THEN '' ELSE bench.uuid7(t.began, b.request) END,
    CASE WHEN k.origin = 'sql' THEN '' ELSE pg_catalog.md5('t' || b.request) END,
    CASE WHEN k.origin = 'sql' THEN '' ELSE pg_catalog.left(pg_catalog.md5('s' || b.request), 16) END,
    CASE WHEN k.origin = 'task' THEN bench.uuid7(t.began, b.request + 1)::uuid::text ELSE '' END,
    k.origin, m.operation,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'address', CASE WHEN k.origin IN ('http', 'websocket', 'task')
            THEN '100.64.' || u.number / 250 || '.' || u.number % 250 END,
        'agent', CASE WHEN k.origin IN ('http', 'websocket') THEN a.text END,
        'cause', CASE WHEN k.origin = 'task' THEN 'POST /blog/<slug>/comments/' END,
        'reason', CASE bench.random(b.request, 17) % 20000 WHEN 7 THEN 'A refund was asked for' WHEN 8 THEN 'Moved'
            ELSE CASE WHEN bench.random(b.request, 17) % 100 = 9 THEN 'Ticket ' || b.request % 5000 END END,
        'database_user', CASE WHEN k.origin = 'sql' THEN 'glasshouse_owner' END,
        'release', '0.' || extract(month FROM t.moment)))
FROM bench.scale s
CROSS JOIN generate_series(first, last) n (e)
CROSS JOIN LATERAL (SELECT n.e / 5000 % 400 = 7 AS is_bulk, n.e / 20 AS block, (n.e % 20 + 1)::integer AS place OFFSET 0) p
CROSS JOIN LATERAL (SELECT
    CASE WHEN p.is_bulk THEN n.e / 5000 * 2750
        ELSE p.block * 11 + ('{0,1,2,2,3,4,4,4,5,6,6,7,8,8,8,8,8,9,10,10}'::integer[])[p.place] END AS request,
    CASE WHEN p.is_bulk THEN n.e / 5000 * 3000
        ELSE p.block * 12 + ('{0,1,2,2,3,4,4,4,5,6,6,7,8,8,9,9,9,10,11,11}'::integer[])[p.place] END AS transaction,
    CASE WHEN p.is_bulk THEN n.e / 5000 * 5000
        ELSE p.block * 20 + ('{0,1,2,2,4,5,5,5,8,9,9,11,12,12,12,12,12,17,18,18}'::integer[])[p.place] END AS began
    OFFSET 0) b
-- Days have a busy half and a quiet one.
CROSS JOIN LATERAL (SELECT began + (n.e - b.began) * interval '100 microseconds' AS moment, began
    FROM (SELECT s.begins + interval '1 second' * (run - 11000 * pg_catalog.sin(run * pi() / 43200)) AS began
        FROM (SELECT extract(epoch FROM s.ends - s.begins)::double precision * b.began / s.total AS run OFFSET 0) r
        OFFSET 0) w
    OFFSET 0) t
CROSS JOIN LATERAL (SELECT CASE WHEN p.is_bulk THEN 'command' WHEN part < 400 THEN 'websocket' WHEN part < 750 THEN 'http'
        WHEN part < 970 THEN 'task' WHEN part < 985 THEN 'beat' WHEN part < 998 THEN 'command' ELSE 'sql' END AS origin
    FROM (SELECT bench.random(b.request, 1) % 1000 AS part OFFSET 0) r OFFSET 0) k
JOIN bench.mix m ON m.origin = k.origin AND m.slot = (bench.random(n.e, 2) % 10000)::integer
-- Few people do most; a fifth is one service account's; a hundred of the 2,000 left half a year ago.
CROSS JOIN LATERAL (SELECT CASE WHEN bench.random(b.request, 3) % 5 = 0 THEN 2001
        WHEN one > 1900 AND n.e > s.total / 2 THEN one - 1500 ELSE one END AS number
    FROM (SELECT (2000 * bench.share(b.request, 4) ^ 2)::integer + 1 AS one OFFSET 0) r OFFSET 0) w
CROSS JOIN LATERAL (SELECT w.number,
    CASE WHEN k.origin = 'beat' OR k.origin = 'command' THEN 'system' WHEN k.origin = 'sql' THEN 'database'
        WHEN m.form = 'failure' THEN 'anonymous' ELSE 'user' END AS type,
    CASE WHEN k.origin = 'beat' OR m.form = 'failure' THEN '' WHEN k.origin = 'command' THEN 'deploy'
        WHEN k.origin = 'sql' THEN 'glasshouse_owner' ELSE w.number::text END AS id,
    CASE WHEN k.origin = 'beat' OR m.form = 'failure' THEN '' WHEN k.origin = 'command' THEN 'deploy'
        WHEN k.origin = 'sql' THEN 'glasshouse_owner' WHEN w.number = 2001 THEN 'importer'
        ELSE 'user' || pg_catalog.lpad(w.number::text, 4, '0') END AS label
    OFFSET 0) u
JOIN bench.agent a ON a.number = w.number % 5
CROSS JOIN LATERAL (SELECT number, CASE WHEN m.objects = 'none' THEN ''
        WHEN m.object_type = 'tasks.taskrun'
            THEN bench.uuid7(s.begins + (s.ends - s.begins) * (number * 16.0 / s.total), number)::uuid::text
        ELSE number::text END AS object_id
    FROM (SELECT CASE m.objects WHEN 'new' THEN n.e WHEN 'recent' THEN n.e / 16 WHEN 'few' THEN bench.random(n.e, 5) % 40
        WHEN 'actor' THEN w.number WHEN 'first' THEN n.e / 50 + 1
        ELSE CASE WHEN bench.random(n.e, 6) % 10 = 0 THEN bench.random(n.e, 7) % 8
            ELSE (n.e / 50 * bench.share(n.e, 8) ^ 1.5)::bigint END + 1 END AS number OFFSET 0) r
    OFFSET 0) o
-- Here and not in a function of its own: the call alone would cost as much as all else.
CROSS JOIN LATERAL (SELECT CASE m.form
        WHEN 'message' THEN pg_catalog.jsonb_build_object(
            'id', o.number, 'body', bench.words(n.e, 20 + (bench.random(n.e, 12) % 160)::integer),
            'room_id', bench.random(n.e, 13) % 40, 'sequence', n.e, 'author_id', u.id,
            'client_id', pg_catalog.md5(n.e::text)::uuid, 'created_at', t.moment)
        WHEN 'edit' THEN CASE WHEN bench.random(n.e, 14) % 10 < 7
            THEN pg_catalog.jsonb_build_object(
                'title', pg_catalog.jsonb_build_array(bench.words(n.e, 30), bench.words(n.e + 1, 34)),
                'updated_at', pg_catalog.jsonb_build_array(t.moment - interval '3 days', t.moment))
            ELSE pg_catalog.jsonb_build_object(
                'body_markdown', pg_catalog.jsonb_build_array(bench.words(n.e, 500), bench.words(n.e + 1, 540)),
                'updated_at', pg_catalog.jsonb_build_array(t.moment - interval '3 days', t.moment)) END
        WHEN 'publication' THEN pg_catalog.jsonb_build_object(
            'status', '["draft", "published"]'::jsonb, 'published_at', pg_catalog.jsonb_build_array(NULL, t.moment),
            'updated_at', pg_catalog.jsonb_build_array(t.moment - interval '1 day', t.moment))
        WHEN 'post' THEN pg_catalog.jsonb_build_object(
            'id', o.number, 'slug', 'post-' || o.number, 'title', bench.words(n.e, 32), 'status', 'draft',
            'author_id', u.id, 'description', bench.words(n.e + 2, 80), 'body_markdown', bench.words(n.e + 3, 900),
            'created_at', t.moment, 'updated_at', t.moment, 'published_at', NULL, 'source_path', NULL)
        WHEN 'comment' THEN pg_catalog.jsonb_build_object(
            'id', o.number, 'post_id', bench.random(n.e, 15) % 90000, 'author_id', u.id,
            'body_markdown', bench.words(n.e, 40 + (bench.random(n.e, 12) % 300)::integer),
            'created_at', t.moment, 'updated_at', t.moment)
        WHEN 'notification' THEN pg_catalog.jsonb_build_object(
            'id', o.number, 'recipient_id', bench.random(n.e, 16) % 2000, 'kind', 'comment', 'read_at', NULL,
            'text', bench.words(n.e, 60), 'url', '/blog/post-' || n.e % 9000 || '/', 'created_at', t.moment)
        WHEN 'reading' THEN pg_catalog.jsonb_build_object('read_at', pg_catalog.jsonb_build_array(NULL, t.moment))
        WHEN 'task' THEN pg_catalog.jsonb_build_object(
            'name', 'notifications.deliver', 'state', 'queued', 'queue', 'default', 'attempts', 0, 'eta', NULL, 'error', '',
            'arguments', pg_catalog.jsonb_build_object('post_id', n.e % 9000), 'enqueued_at', t.moment, 'actor_id', u.id)
        WHEN 'progress' THEN CASE WHEN n.e % 2 = 0
            THEN '{"state": ["published", "running"], "attempts": [0, 1]}'::jsonb
            ELSE '{"state": ["running", "succeeded"]}'::jsonb END
        WHEN 'image' THEN pg_catalog.jsonb_build_object(
            'id', o.number, 'file', 'blog/' || pg_catalog.md5(n.e::text) || '.png', 'name', 'figure.png', 'width', 1280,
            'height', 720, 'alt', bench.words(n.e, 40), 'checksum_sha256', pg_catalog.repeat(pg_catalog.md5(n.e::text), 2))
        WHEN 'login' THEN '{"factor": "password"}'::jsonb
        WHEN 'failure' THEN pg_catalog.jsonb_build_object(
            'username_digest', pg_catalog.left(pg_catalog.md5((n.e % 3000)::text), 16))
        WHEN 'search' THEN pg_catalog.jsonb_build_object('filters', pg_catalog.jsonb_build_object('actor', u.id), 'events', 50)
        WHEN 'refusal' THEN '{"action": "view"}'::jsonb
        WHEN 'link' THEN pg_catalog.jsonb_build_object('permissions', pg_catalog.jsonb_build_object('added', '["12"]'::jsonb))
    END AS changes
    OFFSET 0) c
$$;

"""SQL of what happens at each message, written once: the ORM took most of the time to say the same."""

STANDING = """
SELECT
    coalesce((SELECT role FROM chat_member WHERE room_id = %(room)s AND user_id = %(user)s), ''),
    ARRAY(
        SELECT DISTINCT kind FROM chat_restriction
        WHERE user_id = %(user)s AND lifted_at IS NULL AND (room_id = %(room)s OR room_id IS NULL)
            AND (expires_at IS NULL OR expires_at > now())
    )
"""

STORED = "SELECT id FROM chat_message WHERE room_id = %s AND author_id = %s AND client_id = %s"

NEXT_SEQUENCE = """
UPDATE chat_room SET last_sequence = last_sequence + 1 WHERE id = %s RETURNING last_sequence, archived_at
"""

# One statement, so that others wait for the room as short as can be: its number, the message, and the event.
SAY = """
WITH room AS (
    UPDATE chat_room SET last_sequence = last_sequence + 1 WHERE id = %(room)s AND archived_at IS NULL
    RETURNING id, last_sequence
), message AS (
    INSERT INTO chat_message
        (room_id, sequence, version, author_id, body, html, client_id, reply_to_id, mentions, created_at)
    SELECT id, last_sequence, last_sequence, %(author)s, %(body)s, %(html)s, %(client_id)s::uuid, %(reply_to)s::bigint,
        %(mentions)s::bigint[], clock_timestamp()
    FROM room
    RETURNING id, room_id, sequence, created_at
), event AS (
    INSERT INTO chat_roomevent (room_id, sequence, kind, message_id, created_at)
    SELECT room_id, sequence, 'message.created', id, created_at FROM message
)
SELECT id, sequence, created_at FROM message
"""

UNREAD = """
SELECT pair.user_id, room.slug, coalesce(mark.sequence, 0), room.last_sequence, unread.count, unread.mentions
FROM unnest(%(users)s::bigint[], %(rooms)s::bigint[]) AS pair (user_id, room_id)
JOIN chat_room room ON room.id = pair.room_id
LEFT JOIN chat_readmark mark ON mark.room_id = room.id AND mark.user_id = pair.user_id
CROSS JOIN LATERAL (
    SELECT count(*), count(*) FILTER (WHERE pair.user_id = ANY (few.mentions)) AS mentions
    FROM (
        SELECT message.mentions FROM chat_message message
        WHERE message.room_id = room.id AND message.sequence > coalesce(mark.sequence, 0)
            AND message.author_id <> pair.user_id AND message.deleted_at IS NULL
        LIMIT %(most)s
    ) few
) unread
ORDER BY room.slug
"""

# Of these people, those whom these rooms concern.
CONCERNED = """
SELECT user_id, room_id FROM chat_member WHERE room_id = ANY (%(rooms)s) AND user_id = ANY (%(users)s)
UNION
SELECT user_id, room_id FROM chat_readmark WHERE room_id = ANY (%(rooms)s) AND user_id = ANY (%(users)s)
"""

MARK_READ = """
INSERT INTO chat_readmark (room_id, user_id, sequence, read_at)
SELECT id, %(user)s, least(%(sequence)s, last_sequence), now() FROM chat_room WHERE id = %(room)s
ON CONFLICT (room_id, user_id) DO UPDATE SET sequence = excluded.sequence, read_at = excluded.read_at
    WHERE chat_readmark.sequence < excluded.sequence
"""

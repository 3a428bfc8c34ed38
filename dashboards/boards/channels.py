"""Sockets: who is connected, what reaches them, what is lost; and the chat."""

from dashboards.boards.board import Board, Row, values_of
from dashboards.boards.panels import Query, lines, number, rising
from dashboards.boards.requests import or_nought, quantile, rate_by

_JOB = 'job="$job"'
_ROUTE = 'job="$job", http_route=~"$socket"'

BOARD = Board(
    uid="glasshouse-channels",
    title="Sockets",
    description="Connections, messages and drops of chat, notifications, tasks and the ledger's tail.",
    family="sockets",
    variables=[
        values_of("socket", "Socket", 'label_values(websocket_server_active_connections{job="$job"}, http_route)')
    ],
    rows=[
        Row(
            "Now",
            [
                number(
                    "Open",
                    "Sockets that are connected.",
                    "none",
                    Query(f"sum(websocket_server_active_connections{{{_ROUTE}}})", "open"),
                    size=(6, 4),
                ),
                number(
                    "People in rooms",
                    "Counted once for each room.",
                    "none",
                    Query(f"max(chat_present_people{{{_JOB}}})", "people"),
                    size=(6, 4),
                ),
                number(
                    "Delivery, p95",
                    "From a message's sending to its handling at the socket.",
                    "s",
                    Query(quantile(0.95, "channel_layer_delivery_seconds", _JOB), "p95"),
                    thresholds=rising(0.25, 0.5),
                    no_value="No messages",
                    size=(6, 4),
                ),
                number(
                    "Lost",
                    "Messages a second that didn't arrive, without those whose reader had gone. Chat makes them good.",
                    "ops",
                    Query(rate_by("channel_layer_dropped_messages_total", _JOB + ', reason!="disconnected"'), "lost"),
                    thresholds=rising(0.001, 0.1),
                    size=(6, 4),
                ),
            ],
        ),
        Row(
            "Connections",
            [
                lines(
                    "Open",
                    "By socket.",
                    "none",
                    Query(f"sum by (http_route) (websocket_server_active_connections{{{_ROUTE}}})", "{{http_route}}"),
                    is_stacked=True,
                ),
                lines(
                    "Closed",
                    "By code: 1000 and 1001 are ends as they should be, 4401 and 4403 refusals, 1006 lost networks.",
                    "ops",
                    Query(
                        rate_by(
                            "websocket_server_connection_duration_seconds_count",
                            _ROUTE,
                            "http_route, websocket_close_code",
                        ),
                        "{{http_route}} {{websocket_close_code}}",
                    ),
                ),
                lines(
                    "How long they were open",
                    "Half of those that were closed, by socket. Short ones come again and again: look at the codes.",
                    "s",
                    Query(
                        quantile(0.5, "websocket_server_connection_duration_seconds", _ROUTE, "http_route"),
                        "{{http_route}}",
                    ),
                ),
            ],
        ),
        Row(
            "Messages",
            [
                lines(
                    "Messages",
                    "From browsers and to them.",
                    "ops",
                    Query(
                        rate_by("websocket_server_messages_total", _ROUTE, "http_route, direction"),
                        "{{http_route}} {{direction}}",
                    ),
                ),
                lines(
                    "Handlers, p95",
                    "How long the handling of a message takes, by socket.",
                    "s",
                    Query(
                        quantile(0.95, "websocket_server_handler_duration_seconds", _ROUTE, "http_route"),
                        "{{http_route}}",
                    ),
                ),
                lines(
                    "Delivery",
                    "From sending to handling; a point is one message, and leads to its trace.",
                    "s",
                    Query(quantile(0.5, "channel_layer_delivery_seconds", _JOB), "p50"),
                    Query(quantile(0.95, "channel_layer_delivery_seconds", _JOB), "p95", has_exemplars=True),
                    Query(quantile(0.99, "channel_layer_delivery_seconds", _JOB), "p99"),
                ),
                lines(
                    "Lost",
                    "over_capacity: the layer was full; slow_consumer: a browser didn't read; disconnected: it went.",
                    "ops",
                    Query(rate_by("channel_layer_dropped_messages_total", _JOB, "reason"), "{{reason}}"),
                    Query(or_nought(rate_by("notifications_push_dropped_total", _JOB)), "pushes of notifications"),
                    size=(24, 8),
                ),
            ],
        ),
        Row(
            "Chat",
            [
                lines(
                    "Messages",
                    "Stored, by kind of room.",
                    "ops",
                    Query(or_nought(rate_by("chat_messages_total", _JOB, "room")), "{{room}}"),
                    is_stacked=True,
                ),
                lines(
                    "Changes of rooms",
                    "By kind; each is numbered, so that who missed one asks for it.",
                    "ops",
                    Query(rate_by("chat_events_total", _JOB, "kind"), "{{kind}}"),
                ),
                lines(
                    "Missed and made good",
                    "Sockets that were behind, what they asked for and got; resync: they fetched the room anew.",
                    "ops",
                    Query(rate_by("chat_sockets_behind_total", _JOB), "behind"),
                    Query(rate_by("chat_replays_total", _JOB, "outcome"), "{{outcome}}"),
                    Query(rate_by("chat_replayed_events_total", _JOB), "events sent again"),
                ),
                lines(
                    "Closed by the server",
                    "By reason.",
                    "ops",
                    Query(rate_by("chat_sockets_closed_total", _JOB, "reason"), "{{reason}}"),
                ),
                lines(
                    "Limited",
                    "What was refused as too much, by limit; and sockets that no limit of all processes counted, since"
                    " Redis was away.",
                    "ops",
                    Query(rate_by("chat_limited_total", _JOB, "limit"), "{{limit}}"),
                    Query(rate_by("accounts_sockets_uncounted_total", _JOB), "not counted"),
                ),
            ],
        ),
    ],
)

"""What is counted of notifications, of pushes to sockets, and of mails."""

from telemetry.metrics import counter

CREATED = counter("notifications_created_total", "Notifications written, by kind.", ["kind"])
PUSH_DROPPED = counter(
    "notifications_push_dropped_total", "Pushes that didn't reach the channel layer, by reason.", ["reason"]
)
MAILS_SENT = counter("notifications_mails_sent_total", "Mails that the mail server took, by kind.", ["kind"])
MAIL_FAILURES = counter(
    "notifications_mail_failures_total",
    "Attempts at a mail that failed, by reason: the server (tried again), or the address (given up).",
    ["reason"],
)
LEFT_OUT = counter(
    "notifications_mail_left_out_total",
    "Notifications that were to be mailed and were not, by reason: read meanwhile, or not wanted any more.",
    ["reason"],
)

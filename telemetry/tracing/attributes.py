"""Names of span attributes of ours, where the semantic conventions have none."""

REQUEST_ID = "request.id"  # the attribute by which a span is found from its request
SAMPLING_DECISION = "sampling.decision"  # why a trace that wasn't sampled at its head was kept: `error` or `slow`
SPANS_DROPPED = "spans.dropped"  # how many spans this piece of work had beyond those that are kept
REPEATED_STATEMENTS = "db.repeated_statements"  # an N+1, one line for each: "SELECT x (37 times) at file:line"
CALL_SITE = "code.location"  # "file:line" of the project's own code or template that caused a span
FINGERPRINT = "db.query.fingerprint"  # equal for statements that differ by their values alone

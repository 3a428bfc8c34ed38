"""Names of span attributes of ours, where the semantic conventions have none."""

REQUEST_ID = "request.id"  # the attribute by which a span is found from its request

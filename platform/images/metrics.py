"""What is counted of pictures."""

from images.errors import Reason
from telemetry.metrics import counter

FINISHED = counter(
    "images_pictures_total",
    "Pictures that came to an end of their pipeline, by how.",
    ["outcome"],
    known=[("ready",), ("refused",), ("failed",)],
)
REFUSALS = counter(
    "images_refusals_total",
    "Pictures refused, at their upload or after it, by reason.",
    ["reason"],
    known=[(reason.value,) for reason in Reason],
)

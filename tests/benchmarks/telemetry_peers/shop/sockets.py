"""WebSockets over ASGI: who connects to `ws/listen/` is told all that is said at `ws/say/`."""

from django.conf import settings
from django.core.asgi import get_asgi_application

from shop import peers

peers.instrument()
http = get_asgi_application()

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

GROUP = "room"


class RoomConsumer(AsyncWebsocketConsumer):
    """One room for all."""

    async def connect(self) -> None:
        if self.scope["path"] == "/ws/listen/":
            await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()

    async def receive(self, text_data: str = "", bytes_data: bytes | None = None) -> None:
        await self.channel_layer.group_send(GROUP, {"type": "room.said", "text": text_data})

    async def room_said(self, message: dict) -> None:
        await self.send(text_data=message["text"])


def _application():
    if "telemetry" not in settings.PARTS:
        consumer = RoomConsumer.as_asgi()
    else:
        from telemetry.channels import TracedConsumer

        class TracedRoomConsumer(TracedConsumer, RoomConsumer):
            """The same, watched."""

        consumer = TracedRoomConsumer.as_asgi()
    sockets = URLRouter([path("ws/listen/", consumer), path("ws/say/", consumer)])
    if "telemetry" in settings.PARTS:
        from telemetry.channels import HandshakeMiddleware

        sockets = HandshakeMiddleware(sockets)
    elif peers.is_traced():
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

        sockets = OpenTelemetryMiddleware(sockets)
    return ProtocolTypeRouter({"http": http, "websocket": sockets})


application = _application()

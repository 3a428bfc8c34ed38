"""WebSockets: the sockets process serves this. HTTP is served by `config.wsgi`, four times as fast."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
http = get_asgi_application()  # first: it sets Django up

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from audit.live.consumers import TailConsumer  # noqa: E402
from chat.consumers import ChatConsumer  # noqa: E402
from config.origins import OriginMiddleware  # noqa: E402
from notifications.consumers import NotificationConsumer  # noqa: E402
from ops.maintenance.sockets import MaintenanceMiddleware  # noqa: E402
from tasks.consumers import TaskConsumer  # noqa: E402
from telemetry.channels import HandshakeMiddleware  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": HandshakeMiddleware(
            OriginMiddleware(
                AuthMiddlewareStack(
                    MaintenanceMiddleware(
                        URLRouter(
                            [
                                path("ws/chat/<slug:room>/", ChatConsumer.as_asgi()),
                                path("ws/notifications/", NotificationConsumer.as_asgi()),
                                path("ws/tasks/", TaskConsumer.as_asgi()),
                                path("ws/audit/", TailConsumer.as_asgi()),
                            ]
                        )
                    )
                )
            )
        ),
    }
)

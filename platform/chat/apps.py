from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "chat"

    def ready(self) -> None:
        """Have news of rooms told to whoever has a page open."""
        from chat import news
        from notifications.visitors import accompany

        accompany(news.follow)

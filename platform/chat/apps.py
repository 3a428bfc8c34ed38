from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "chat"

    def ready(self) -> None:
        """Have news of rooms told to whoever has a page open, and of nothing that was read in its room already."""
        import chat.deriving  # noqa: F401  tells the ledger what is made of messages
        from chat import news, queries
        from chat.models import TOPIC
        from notifications.sightings import know_sightings
        from notifications.visitors import accompany

        accompany(news.follow)
        know_sightings(TOPIC, queries.has_read)

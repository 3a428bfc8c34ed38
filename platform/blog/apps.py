from django.apps import AppConfig


class BlogConfig(AppConfig):
    name = "blog"

    def ready(self) -> None:
        import blog.deriving  # noqa: F401  tells the ledger what is made of texts
        from blog.caching import invalidation

        invalidation.connect()

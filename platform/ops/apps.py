from django.apps import AppConfig


class OpsConfig(AppConfig):
    name = "ops"

    def ready(self) -> None:
        from celery.signals import beat_init

        from ops.pulse.sampling import start_sampling

        beat_init.connect(start_sampling)

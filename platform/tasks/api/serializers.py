"""What the API of tasks gives and takes."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from tasks import showing
from tasks.filters import FILTERS
from tasks.forms import LONGEST_REASON
from tasks.models import AttemptOutcome, State, TaskAttempt, TaskRun


class RunProgressSerializer(serializers.Serializer[Any]):
    done = serializers.IntegerField()
    total = serializers.IntegerField(help_text="0 where the task doesn't know.")
    note = serializers.CharField()


class TaskRunSerializer(serializers.ModelSerializer[TaskRun]):
    state = serializers.ChoiceField(State.choices, read_only=True)
    queue_wait_seconds = serializers.FloatField(read_only=True, allow_null=True)
    run_seconds = serializers.FloatField(read_only=True, allow_null=True)
    progress = serializers.SerializerMethodField()

    class Meta:
        model = TaskRun
        fields: ClassVar[list[str]] = [
            "id",
            "name",
            "queue",
            "priority",
            "state",
            "arguments",
            "attempts",
            "max_attempts",
            "enqueued_at",
            "eta",
            "sent_at",
            "started_at",
            "finished_at",
            "cancel_requested_at",
            "queue_wait_seconds",
            "run_seconds",
            "progress",
            "error",
            "worker",
            "request_id",
            "trace_id",
            "actor_type",
            "actor_id",
            "actor_label",
            "parent_task_id",
        ]

    @extend_schema_field(RunProgressSerializer(allow_null=True))
    def get_progress(self, run: TaskRun) -> dict[str, Any] | None:
        return showing.progress_of(run)


class AttemptSerializer(serializers.ModelSerializer[TaskAttempt]):
    outcome = serializers.CharField(
        read_only=True, help_text=f"One of {', '.join(AttemptOutcome.values)}; empty while it runs."
    )
    run_seconds = serializers.FloatField(read_only=True)

    class Meta:
        model = TaskAttempt
        fields: ClassVar[list[str]] = [
            "number",
            "outcome",
            "started_at",
            "ended_at",
            "run_seconds",
            "worker",
            "trace_id",
            "error",
        ]


class TaskRunDetailSerializer(TaskRunSerializer):
    tries = AttemptSerializer(many=True, read_only=True)
    result = serializers.SerializerMethodField()

    class Meta(TaskRunSerializer.Meta):
        fields: ClassVar[list[str]] = [*TaskRunSerializer.Meta.fields, "duplicates", "result", "tries"]

    @extend_schema_field({"description": "What the task returned, without secrets; any JSON."})
    def get_result(self, run: TaskRun) -> Any:
        return showing.result_of(run)


class ReasonInput(serializers.Serializer[Any]):
    reason = serializers.CharField(
        max_length=LONGEST_REASON,
        required=False,
        allow_blank=True,
        help_text="Why: the ledger is told. It may be given in the header `X-Audit-Reason` instead.",
    )


class RetryManyInput(ReasonInput):
    """The filters of the list, and why; of the runs that they name those are retried that are dead."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        given = {
            one.name: serializers.CharField(
                max_length=one.longest, required=False, allow_blank=True, help_text=one.help
            )
            for one in FILTERS
            if one.name != "state"
        }
        return {**super().get_fields(), **given}

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """Refuse what isn't known: a filter that is misspelt would name far too many."""
        if unknown := sorted(set(self.initial_data) - set(self.fields)):
            raise serializers.ValidationError({name: ["There is no such filter."] for name in unknown})
        return given


class RetriedSerializer(serializers.Serializer[Any]):
    retried = serializers.IntegerField(help_text="How many were retried; at most 1,000 at once, the oldest first.")


class QueueSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    due = serializers.IntegerField(help_text="Runs that wait for a worker.")
    later = serializers.IntegerField(help_text="Runs that wait for their time.")
    running = serializers.IntegerField()
    oldest_seconds = serializers.FloatField(allow_null=True, help_text="For how long the oldest has been due.")
    wait_p50_seconds = serializers.FloatField(allow_null=True, help_text="Of first attempts, in the last hour.")
    wait_p95_seconds = serializers.FloatField(allow_null=True, help_text="Of first attempts, in the last hour.")
    is_paused = serializers.BooleanField()
    changed_at = serializers.DateTimeField(allow_null=True, help_text="When it was last paused or resumed.")
    changed_by = serializers.CharField()
    reason = serializers.CharField()
    is_known = serializers.BooleanField(help_text="False where tasks wait in it and no worker takes any.")

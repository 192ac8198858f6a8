"""Django's model of a job. Imported when Django is configured."""

from typing import Any

from django.db import models
from django_fsm import FSMField, transition
from django_fsm_log.decorators import fsm_log_by, fsm_log_description


class Job(models.Model):
    """A job."""

    class Meta:
        """It belongs to no application of its own."""

        app_label = "django_fsm"
        db_table = "django_job"

    id = models.BigIntegerField(primary_key=True)
    state = FSMField(default="replicating", protected=False)
    version = models.IntegerField(default=4)

    def __str__(self) -> str:
        return str(self.id)

    @fsm_log_by
    @fsm_log_description
    @transition(field=state, source="replicating", target="completed")
    def vma_completed(self, by: Any = None, description: str | None = None) -> None:
        """The VMA says completed."""

"""The same with Django: django-fsm-2 for the transition, django-fsm-log for its history."""

from typing import Any

import django
from django.conf import settings
from persist_contenders import Contender, Ids
from sqlalchemy import Engine

BACKENDS = {"sqlite": "sqlite3", "postgresql": "postgresql", "mysql": "mysql"}


class Django(Contender):
    """`get`, the transition, `save`: one transaction a job; the log writes its row at the transition's signal."""

    name = "django-fsm-2 + log"

    def __init__(self, engine: Engine, note: str) -> None:
        super().__init__(engine, note)
        _configure(engine)
        from persist_django_models import Job  # noqa: PLC0415 # Django's models need its settings

        self.jobs: Any = Job

    def make(self, ids: Ids) -> None:
        from django.core.management import call_command  # noqa: PLC0415
        from django.db import connection  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        if self.jobs._meta.db_table not in connection.introspection.table_names():
            with connection.schema_editor() as editor:
                editor.create_model(self.jobs)
        self._logs().objects.all().delete()
        self.jobs.objects.all().delete()
        self.jobs.objects.bulk_create([self.jobs(id=_number(job_id)) for job_id in ids])

    def complete(self, ids: Ids) -> None:
        from django.db import transaction  # noqa: PLC0415

        for job_id in ids:
            with transaction.atomic():
                job = self.jobs.objects.get(pk=_number(job_id))
                job.vma_completed(description=self.note)
                job.version += 1
                job.save()

    def completed(self) -> int:
        done = self.jobs.objects.filter(state="completed").values_list("id", flat=True)
        return int(self._logs().objects.filter(state="completed", object_id__in=list(done)).count())

    @staticmethod
    def _logs() -> Any:
        from django_fsm_log.models import StateLog  # noqa: PLC0415

        return StateLog


def _number(job_id: str) -> int:
    """The log takes numbers only."""
    return int(job_id.rsplit("-", 1)[1], 16) + 1


def _configure(engine: Engine) -> None:
    if settings.configured:
        return
    if engine.dialect.name == "mysql":
        import pymysql  # noqa: PLC0415

        pymysql.version_info = (2, 2, 1, "final", 0)  # Django asks for this mysqlclient
        pymysql.install_as_MySQLdb()
    settings.configure(
        DATABASES={"default": _database(engine)},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_fsm", "django_fsm_log"],
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()


def _database(engine: Engine) -> dict[str, Any]:
    url = engine.url
    found: dict[str, Any] = {
        "ENGINE": f"django.db.backends.{BACKENDS[engine.dialect.name]}",
        "NAME": url.database,
        "USER": url.username or "",
        "HOST": url.host or "",
        "PORT": url.port or "",
        "CONN_MAX_AGE": None,
    }
    if engine.dialect.name == "sqlite":  # as safe, and as fast, as the others' connections
        pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"
        found["OPTIONS"] = {"init_command": pragmas, "transaction_mode": "IMMEDIATE"}
    return found

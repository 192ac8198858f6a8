"""The settings: environment variables OMA_FSM_…, then a file, then these defaults. Every field here is read by code."""

import os
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from fsm.policy import RecoveryPolicy
from poller.coordination_url import EXAMPLES, refusal

PREFIX = "OMA_FSM_"
CONFIG_VARIABLE = "OMA_FSM_CONFIG"
DEFAULT_FILE = "oma-fsm.toml"
LONGEST_DAYS = 36_500  # a calendar that begins in the year 1 ends such sums
Seconds = Annotated[float, Field(gt=0, le=60)]


class VmaSettings(BaseModel):
    """How the VMA is asked. Times in seconds, sizes in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: HttpUrl = Field(HttpUrl("http://localhost:9081"), description="where the VMA's progress API answers")
    connect_timeout: Seconds = Field(2.0, description="to connect, seconds")
    read_timeout: Seconds = Field(4.0, description="between two pieces of an answer, seconds")
    total_timeout: Seconds = Field(6.0, description="for a whole answer, seconds")
    max_body: int = Field(1 << 20, gt=0, description="a longer answer is cut off and not believed, bytes")
    in_flight: int = Field(8, ge=1, le=512, description="requests under way at once to begin with")
    most_in_flight: int = Field(128, ge=1, le=512, description="and at most, while an appliance does not slow")
    hosts: tuple[str, ...] = Field((), description="hosts an appliance may have, with * and ?; none: any")
    ca_file: str | None = Field(None, description="the one authority believed for https")
    token_file: str | None = Field(None, description="file with a bearer token, for https")
    cert_file: str | None = Field(None, description="our own certificate, for https")
    key_file: str | None = Field(None, description="its key")


class ReplicaSettings(BaseModel):
    """How many processes serve one database, and what this one does among them."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    mode: Literal["single", "database", "tooz"] = Field(
        "single",
        description="single: one process; database: several, which share the jobs by locks of the database;"
        " tooz: several, which find each other at a coordination server",
    )
    poll: bool = Field(True, description="false: this replica only answers the API (not in mode single)")
    coordination_url: str | None = Field(
        None, repr=False, description="mode tooz: Redis, etcd or ZooKeeper, as redis://:PASSWORD@HOST:6379"
    )

    @model_validator(mode="after")
    def _can_coordinate(self) -> Self:
        """Not of the field: what is wrong with a field is shown with its value, and this may hold a secret."""
        if self.mode == "tooz":
            if self.coordination_url is None:
                raise ValueError(f"replicas.mode = tooz needs replicas.coordination_url: {EXAMPLES}")
            if (why := refusal(self.coordination_url)) is not None:
                raise ValueError(f"replicas.coordination_url: {why}")
        elif self.coordination_url is not None:
            raise ValueError("replicas.coordination_url is read in replicas.mode = tooz only")
        return self


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        nested_model_default_partial_update=True,
    )

    database_url: str = Field("sqlite:///oma-fsm.db", description="SQLite, PostgreSQL or MariaDB")
    host: str = Field("127.0.0.1", description="address the API listens on; loopback unless told otherwise")
    port: int = Field(8477, ge=0, le=65535, description="port the API listens on; 0: any free one")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="DEBUG logs every poll")
    log_format: Literal["json", "console"] = Field("console", description="json for machines, console for people")
    keep_polls_days: float = Field(
        90, gt=0, le=LONGEST_DAYS, description="how long an ended job's polls and refusals are kept, days"
    )
    poll_log: str | None = Field(
        None, description="append every question to this file, for `oma-fsm audit polls`; 350 bytes each"
    )
    replicas: ReplicaSettings = Field(ReplicaSettings(), description="how many processes serve the database")
    vma: VmaSettings = Field(VmaSettings(), description="how the VMA is asked")
    policy: RecoveryPolicy = Field(RecoveryPolicy(), description="the thresholds of the rules")

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if url.split(":", 1)[0].split("+", 1)[0] not in ("sqlite", "postgresql", "postgres", "mysql", "mariadb"):
            msg = "database_url must begin with sqlite:, postgresql: or mysql:"
            raise ValueError(msg)
        return url

    @model_validator(mode="after")
    def _replicas_can_work(self) -> Self:
        if self.replicas.mode != "single" and self.database_url.startswith("sqlite"):
            msg = (
                f"replicas.mode = {self.replicas.mode} needs PostgreSQL or MariaDB:"
                " SQLite is one file, which one process serves"
            )
            raise ValueError(msg)
        if self.replicas.mode == "single" and not self.replicas.poll:
            msg = (
                "replicas.poll = false needs replicas.mode = database or tooz:"
                " a single service that does not poll loses jobs"
            )
            raise ValueError(msg)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 # the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over the file."""
        return init_settings, env_settings, _file_source(settings_cls)


def _file_source(settings: type[BaseSettings]) -> TomlConfigSettingsSource:
    file = config_file()
    try:
        return TomlConfigSettingsSource(settings, file)
    except ValueError as error:  # no TOML, or no UTF-8
        raise ValueError(f"{file}: {error}") from error


def config_file() -> Path:
    """The file that is read if it exists. FileNotFoundError if one was named and does not."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named and not Path(named).is_file():
        raise FileNotFoundError(f"{CONFIG_VARIABLE} names {named}, which is not a file")
    return Path(named or DEFAULT_FILE)


def variables(model: type[BaseModel] = Settings, prefix: str = PREFIX) -> Iterator[str]:
    """The environment variable of every setting, and of every section."""
    for name, field in model.model_fields.items():
        variable = prefix + name.upper()
        yield variable
        if section := _section(field):
            yield from variables(section, f"{variable}__")


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def misspelt(environment: Iterable[str]) -> dict[str, str]:
    """Variables that are no settings and look like one, with that one. What is wrong within a section is refused."""
    known = [variable.removeprefix(PREFIX) for variable in variables()]
    given = [v.removeprefix(PREFIX) for v in environment if v.startswith(PREFIX) and v != CONFIG_VARIABLE]
    sections = tuple(f"{name.upper()}__" for name, field in Settings.model_fields.items() if _section(field))
    strange = [name for name in given if name not in known and not name.startswith(sections)]
    near = {name: _nearest(name, known) for name in strange}
    return {PREFIX + name: PREFIX + meant for name, meant in near.items() if meant}


def _nearest(name: str, known: Iterable[str]) -> str | None:
    without_section = [variable for variable in known if variable.endswith(f"__{name}")]
    return next(iter(without_section or get_close_matches(name, known, n=1, cutoff=0.8)), None)

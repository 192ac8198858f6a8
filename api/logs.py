"""Structured logs: one event per line, UTC, for people or for machines."""

import logging
import sys

import structlog


def configure(level: str, form: str) -> None:
    """Set up logging of this process; libraries' records come in the same form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        _without_blanks,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(default=str)
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info if form == "json" else _as_is,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        # What is below the level costs nothing: a job is polled every few seconds, and says so at DEBUG.
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("httpx", "httpcore", "uvicorn.access", "alembic", "transitions"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for repeats_what_we_say in ("tooz", "kazoo", "stevedore"):
        logging.getLogger(repeats_what_we_say).setLevel(logging.CRITICAL)


def _without_blanks(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {name: value for name, value in event.items() if value is not None and name != "color_message"}


def _as_is(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event

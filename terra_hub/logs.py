"""JSON log lines on standard error, and what no log and no error page may show."""

import re
from collections.abc import ItemsView
from typing import Any

import structlog
from django.views.debug import SafeExceptionReporterFilter

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def escape_controls(_logger: Any, _name: str, event: dict[str, Any]) -> dict[str, Any]:
    """Escape control and bidi characters, so that no sender can forge or hide a line."""
    return {key: _escaped(value) for key, value in event.items()}


def _escaped(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _CONTROL.sub(lambda match: match[0] if match[0] == "\n" else f"\\x{ord(match[0]):02x}", value)


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    escape_controls,
]


def logging_settings(level: str) -> dict[str, Any]:
    """Configure structlog and return the ``logging`` dict that prints through it."""
    import logging.config

    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        # A request line would hold payload links, which open without a log-in. The clients of AWS
        # write bodies and signatures at DEBUG; what fails there is in the delivery log.
        "loggers": {name: {"level": "ERROR"} for name in ("django.request", "psycopg.pool", "botocore", "urllib3")},
    }
    logging.config.dictConfig(config)
    return config


class SecretFilter(SafeExceptionReporterFilter):
    """Django's error reports without local variables and without posted values.

    Django hides by name only; a secret in a variable of another name would be printed.
    """

    def get_post_parameters(self, request: Any) -> dict[str, Any]:
        """Name what was posted, without any value."""
        posted = getattr(request, "POST", None) or {}
        return {name: self.cleansed_substitute for name in posted}

    def get_traceback_frame_variables(self, request: Any, tb_frame: Any) -> ItemsView[str, Any]:
        """Name the frame's variables, without any value."""
        return dict.fromkeys(tb_frame.f_locals, self.cleansed_substitute).items()

"""What the server reads from the environment; the documentation lists it in one table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fraud_model.durations import seconds_of
from fraud_model.errors import ParameterError
from fraud_model.registry.versions import DEFAULT_MODEL_NAME, parse_stage

TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
MOST = {"shadow_share": 1.0}
LINES = ".jsonl"


@dataclass(frozen=True)
class Settings:
    """The fields' names in capitals are the environment variables.

    An empty `model_uri` means the version of `fraud-detector` in `model_stage`. `model_dir` stands
    in for a registry out of reach. `model_refresh` says how often the registry is asked again; 0 is
    never. Sizes are in bytes and times in seconds. `max_in_flight` limits
    the requests that one worker answers at the same time. `shadow_share` is the share of the scored
    requests that the shadow scores too. `audit_keep` is an age such as `30d` or `12h`; an empty one
    means for ever.
    """

    model_uri: str = ""
    model_stage: str = "Production"
    model_dir: str = "model"
    model_refresh: float = 0.0
    max_bytes: int = 10_000_000
    max_rows: int = 10_000
    max_in_flight: int = 128
    request_timeout: float = 30.0
    api_token: str = ""
    api_tokens_file: str = ""
    allowed_origins: str = ""
    audit_log: str = ""
    audit_max_bytes: int = 100_000_000
    audit_keep: str = ""
    audit_required: bool = False
    labels_file: str = ""
    shadow_model_uri: str = ""
    shadow_share: float = 1.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Reads the variables that are set; an empty one counts as not set.

        Raises:
            ParameterError: a value is invalid, or another variable is missing.
        """
        values: dict[str, object] = {}
        for name in cls.__dataclass_fields__:
            text = environment.get(name.upper())
            if text:
                values[name] = _read(name, text, getattr(cls, name))
        settings = cls(**values)  # type: ignore[arg-type]
        parse_stage(settings.model_stage)
        if settings.audit_keep and settings.audit_keep_seconds is None:
            raise ParameterError(
                f"AUDIT_KEEP={settings.audit_keep} is invalid: expected a duration such as 30d or "
                "12h. Leave it empty to keep everything."
            )
        if settings.shadow_model_uri and not settings.audit_log:
            raise ParameterError(
                "SHADOW_MODEL_URI is set but AUDIT_LOG is not: the shadow's scores go to the audit "
                "log only. Set AUDIT_LOG to a file."
            )
        if settings.labels_file:
            settings._check_labels_file()
        return settings

    def _check_labels_file(self) -> None:
        if not self.labels_file.endswith(LINES):
            raise ParameterError(
                f"LABELS_FILE={self.labels_file} is invalid: expected a name that ends in {LINES}, "
                "since a decision is a line of JSON."
            )
        if not self.audit_log:
            raise ParameterError(
                "LABELS_FILE is set but AUDIT_LOG is not: the flagged transactions that get labels "
                "are those of the audit log. Set AUDIT_LOG to a file."
            )
        if not self.wants_token:
            raise ParameterError(
                "LABELS_FILE is set but no token is: flagged transactions are card data, and a "
                "decision is signed with the name of a token. Set API_TOKENS_FILE or API_TOKEN."
            )

    @property
    def wants_token(self) -> bool:
        """Whether callers need a token."""
        return bool(self.api_token or self.api_tokens_file)

    @property
    def uri(self) -> str:
        """The model to serve, as MLflow addresses it."""
        return self.model_uri or f"models:/{DEFAULT_MODEL_NAME}/{parse_stage(self.model_stage)}"

    @property
    def audit_keep_seconds(self) -> int | None:
        """How old a rotated file of the audit log may grow; None means for ever."""
        return seconds_of(self.audit_keep)

    @property
    def origins(self) -> list[str]:
        """The origins whose pages may call this server."""
        return [origin.strip() for origin in self.allowed_origins.split(",") if origin.strip()]


def _read(name: str, text: str, default: object) -> object:
    if isinstance(default, bool):
        if text.lower() not in TRUTHS:
            raise ParameterError(f"{name.upper()}={text} is invalid: expected true or false.")
        return TRUTHS[text.lower()]
    if isinstance(default, int | float):
        kind = type(default)
        most = MOST.get(name, math.inf)
        try:
            number = kind(text)
        except ValueError:
            number = kind(-1)
        if not (0 < number <= most or number == default) or math.isinf(number):
            wanted = "a whole number above 0" if kind is int else "a number above 0"
            limit = "" if math.isinf(most) else f" and at most {most:g}"
            raise ParameterError(f"{name.upper()}={text} is invalid: expected {wanted}{limit}.")
        return number
    return text

"""What every service reads from its environment, and the check that production has all it needs."""

from __future__ import annotations

import secrets
from enum import StrEnum
from typing import Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Environment(StrEnum):
    """Where the service runs. Production refuses to start with a default that is not safe."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class ServiceSettings(BaseSettings):
    """Settings that all six services share; each service adds its own in `config.py`.

    Source: environment variables with the prefix `FUMEHOOD_`. Raises pydantic.ValidationError
    that names the variable when a value is wrong or, in production, missing.
    """

    model_config = SettingsConfigDict(env_prefix="FUMEHOOD_", extra="ignore", frozen=True)

    environment: Environment = Field(
        default=Environment.DEVELOPMENT,
        description="`development` or `production`; production enforces HTTPS and secrets.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    database_url: SecretStr = Field(
        default=SecretStr(""),
        description="This service's own: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://ROLE:PASSWORD@HOST/NAME`.",
    )
    bus_url: SecretStr = Field(
        default=SecretStr("local://"), description="`local://FILE` (one process) or `amqp://USER:PASSWORD@HOST/VHOST`."
    )
    objects_url: str = Field(
        default="file://./fumehood-data/objects",
        description="`file://DIRECTORY` or `s3://BUCKET/PREFIX` (keys and endpoint from the standard AWS_* variables).",
    )
    cache_url: SecretStr = Field(default=SecretStr("memory://"), description="`memory://` or `redis://HOST:PORT/DB`.")
    cache_prefix: str = Field(default="fumehood:", description="Put before every key in the cache.")
    service_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Signs the tokens with which services call each other; at least 32 characters, the same for all.",
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_format: str = Field(default="json", pattern="^(json|console)$", description="`json` or `console`.")
    otlp_endpoint: str | None = Field(
        default=None, description="Base address of an OTLP/HTTP receiver for traces and metrics; unset means off."
    )
    forwarded_allow_ips: str = Field(
        default="127.0.0.1", description="Addresses of proxies whose X-Forwarded-* headers are believed."
    )

    @model_validator(mode="after")
    def check_production(self) -> Self:
        """Refuse a production start on defaults that would not be safe."""
        if self.environment is not Environment.PRODUCTION:
            return self
        missing = [f"FUMEHOOD_{name.upper()}" for name in self.required_in_production() if not self._is_set(name)]
        if missing:
            raise ValueError(f"production needs {', '.join(missing)}; set them and start again")
        if len(self.service_secret.get_secret_value()) < 32:
            raise ValueError("FUMEHOOD_SERVICE_SECRET needs at least 32 characters")
        return self

    def required_in_production(self) -> tuple[str, ...]:
        """Return the fields that have no safe default; services extend it."""
        return ("database_url", "bus_url", "objects_url", "service_secret")

    def _is_set(self, name: str) -> bool:
        value = getattr(self, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        return name in self.model_fields_set and bool(text)

    def signing_secret(self) -> str:
        """Return the service secret, or in development one made up for this process."""
        return self.service_secret.get_secret_value() or _development_secret


_development_secret = secrets.token_urlsafe(48)


def wrong_settings(error: ValidationError) -> str | None:
    """Return a line for every variable that is wrong, without its value; None if the error is not about settings."""
    if not error.title.endswith("Settings"):
        return None
    return "\n".join(_complaint(detail["loc"], detail["msg"]) for detail in error.errors(include_input=False))


def _complaint(place: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"FUMEHOOD_{str(place[0]).upper()}: {message}" if place else message

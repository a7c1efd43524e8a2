"""Settings of the gateway."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from shared.settings import Environment, ServiceSettings


class Settings(ServiceSettings):
    """Read from the environment, once, in `main.py`."""

    upload_url: str = Field(default="http://127.0.0.1:8001", description="Internal address of the upload service.")
    results_url: str = Field(default="http://127.0.0.1:8002", description="Internal address of the results service.")
    reports_url: str = Field(default="http://127.0.0.1:8003", description="Internal address of the reports service.")
    notifier_url: str = Field(default="http://127.0.0.1:8004", description="Internal address of the notifier.")
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s]+$",
        description="Address under which people reach this server, without a path; unset means that of the request.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description='JSON list of host names that requests may name, e.g. ["scan.example.org"]; [] means any.',
    )
    data_dir: Path | None = Field(
        default=None, description="Directory for what has to survive a restart in development, such as the signing key."
    )
    max_file_bytes: int = Field(
        default=650_000_000, ge=1, description="Largest file that is accepted, in bytes; larger ones get 413."
    )
    upload_idle_seconds: float = Field(
        default=60.0, gt=0, description="An upload that sends nothing for this long is broken off."
    )
    jwt_private_key: SecretStr = Field(
        default=SecretStr(""),
        description="Private key (PEM, P-256) that signs access tokens; the same for all replicas.",
    )
    access_token_seconds: int = Field(default=900, ge=60, description="Lifetime of an access token.")
    session_idle_seconds: int = Field(default=12 * 3600, ge=60, description="A session ends when unused for this long.")
    session_lifetime_seconds: int = Field(
        default=7 * 86400, ge=60, description="A session ends this long after sign-in."
    )
    sign_in_link_seconds: int = Field(default=86400, ge=60, description="Lifetime of a one-time sign-in link.")
    admin_email: str | None = Field(default=None, description="E-mail of the first administrator, for unattended use.")
    admin_password: SecretStr = Field(default=SecretStr(""), description="Password of the first administrator.")
    uploads_per_minute: int = Field(default=1200, ge=1, description="Uploads that one user may start in a minute.")
    requests_per_minute: int = Field(
        default=6000,
        ge=1,
        description="API requests that one user, or one address that is not signed in, may make in a minute.",
    )
    sign_ins_per_address: int = Field(default=30, ge=1, description="Sign-in attempts per address in five minutes.")
    sign_ins_per_account: int = Field(
        default=10, ge=1, description="Failed sign-in attempts per account in five minutes."
    )

    def required_in_production(self) -> tuple[str, ...]:
        """Return the fields that have no safe default."""
        return (*super().required_in_production(), "cache_url", "jwt_private_key")

    @property
    def is_production(self) -> bool:
        """Whether HTTPS and Secure cookies are enforced."""
        return self.environment is Environment.PRODUCTION

"""How every service becomes a process: served until it is asked to end, and then ended for certain."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from typing_extensions import override

from shared.settings import ServiceSettings, wrong_settings
from shared.telemetry import configure_logging, configure_telemetry, shut_down_telemetry

THREADS_SECONDS = 5.0
_STARTUP_FAILURE = 3

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Serves one app until SIGTERM or SIGINT, then finishes the requests that are running and returns.

    uvicorn's own would raise the signal again, and end the process before anything after it is done.
    """

    @classmethod
    def of(cls, app: FastAPI) -> Self:
        """Serve where the app's settings say, and leave log records to us."""
        settings: ServiceSettings = app.state.settings
        return cls(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=True,
                forwarded_allow_ips=settings.forwarded_allow_ips,
                timeout_graceful_shutdown=20,
            )
        )

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def run_service(create_app: Callable[[SettingsT], FastAPI], read_settings: Callable[[], SettingsT]) -> None:
    """Serve the app until SIGTERM or SIGINT, then finish what is running.

    Exit status 2 if a setting is wrong, which is said in a line, and 3 if the service cannot start.
    """
    try:
        settings = read_settings()
    except ValidationError as error:
        sys.exit(_refuse(error))
    configure_logging(settings)
    app = create_app(settings)
    configure_telemetry(settings, app.state.service)
    server = Server.of(app)
    try:
        server.run()
    finally:
        shut_down_telemetry()
    if not server.started:
        sys.exit(_STARTUP_FAILURE)
    end_threads()


def _refuse(error: ValidationError) -> int:
    complaint = wrong_settings(error)
    if complaint is None:
        raise error
    print(complaint, file=sys.stderr)  # noqa: T201 - how to log is a setting
    return 2


def end_threads(status: int = 0) -> None:
    """Return when no thread is left; end the process with `status` if one is still busy after five seconds.

    Python waits for every thread before it ends, and one inside a library's call (rules over a large file,
    say) can be busy for a minute. Nothing is lost: what it worked for has gone back to its queue.
    """
    deadline = time.monotonic() + THREADS_SECONDS
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                logger.info("ends without waiting for %s", thread.name)
                logging.shutdown()
                sys.stdout.flush()
                os._exit(status)

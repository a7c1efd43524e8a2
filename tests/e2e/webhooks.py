"""A receiver of webhooks on the loopback interface that keeps what it is sent."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What an installation needs so that it may call us: loopback is a private network.
SETTINGS = {"FUMEHOOD_WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8"}


@dataclass(slots=True)
class WebhookReceiver:
    """What has arrived: submission id -> the webhook ids of its events (a repeated delivery has the same id)."""

    address: str
    received: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    """Run a receiver on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.received[body["data"]["submission_id"]].add(self.headers["webhook-id"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = WebhookReceiver(f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()

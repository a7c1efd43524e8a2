"""One trace leads from the upload to the report, through every process and the bus."""

from __future__ import annotations

from pathlib import Path

import pytest
from installations import Servers, running_stack, wait_for
from otlp import OtlpReceiver, ReceivedSpan, running_receiver

from shared.testing.deployment import SERVICES

pytestmark = pytest.mark.e2e


def test_one_trace_from_upload_to_report(servers: Servers, tmp_path: Path) -> None:
    with (
        running_receiver() as receiver,
        running_stack(servers, tmp_path, {"FUMEHOOD_OTLP_ENDPOINT": receiver.address}) as stack,
    ):
        with stack.api() as api:
            accepted = api.post("/api/v1/files", files={"file": ("note.txt", b"a harmless note\n" * 20)}).json()
            scan = api.get(accepted["links"]["self"], params={"wait": 60}).json()
            assert scan["status"] == "completed"
        trace = wait_for("the trace", lambda: complete_trace(receiver), 60)

    services = {span.service.removeprefix("fumehood-") for span in trace}
    assert services == set(SERVICES)
    roots = [span for span in trace if not span.parent_id]
    assert [(root.service, root.name) for root in roots] == [("fumehood-gateway", "POST /api/v1/files")]
    known = {span.span_id for span in trace}
    assert [span for span in trace if span.parent_id and span.parent_id not in known] == []


def complete_trace(receiver: OtlpReceiver) -> list[ReceivedSpan] | None:
    """Return the spans of the upload once all services have sent theirs, else None."""
    for root in list(receiver.spans):
        if root.name != "POST /api/v1/files" or root.parent_id:
            continue
        trace = receiver.trace(root.trace_id)
        known = {span.span_id for span in trace}
        whole = all(not span.parent_id or span.parent_id in known for span in trace)
        if whole and {span.service.removeprefix("fumehood-") for span in trace} == set(SERVICES):
            return trace
    return None

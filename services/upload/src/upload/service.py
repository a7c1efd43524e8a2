"""Use cases of the upload service: accept a file, look a submission up."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

from shared.clients.upload import Submission
from shared.clock import now
from shared.database import Database
from shared.errors import NotFoundError
from shared.events import FileUploadedV1, ObjectRef
from shared.objects import ObjectStore
from shared.web import Caller
from upload import storage
from upload.errors import IdempotencyKeyReusedError
from upload.models import ReceivedFile, object_key


class UploadService:
    """Accepts files. When `accept` returns, the bytes are stored and synced and the event is queued."""

    def __init__(self, database: Database, objects: ObjectStore, scan_deadline_seconds: int) -> None:
        self._database = database
        self._objects = objects
        self._deadline = timedelta(seconds=scan_deadline_seconds)

    async def accept(self, caller: Caller, received: ReceivedFile, idempotency_key: str | None) -> Submission:
        """Store a received file and queue its scan.

        The same key from the same user gives the same submission. Raises
        IdempotencyKeyReusedError when the key was used for other bytes.
        """
        if idempotency_key and (earlier := await self._earlier(caller, idempotency_key)):
            return _same_bytes(earlier, received)
        file = await self._store(received)
        accepted_at = now()
        submission = Submission(
            id=str(uuid4()),
            scan_id=str(uuid4()),
            user_id=caller.user_id,
            name=received.name,
            sha256=received.sha256,
            size_bytes=received.size_bytes,
            accepted_at=accepted_at,
            deadline_at=accepted_at + self._deadline,
        )
        if await self._record(submission, file, received, idempotency_key):
            return submission
        # Another request with the same key committed while this one was storing its bytes.
        return _same_bytes(await self._earlier(caller, str(idempotency_key)), received)

    async def get_submission(self, caller: Caller, submission_id: str) -> Submission:
        """Return a submission that the caller may see. Raises NotFoundError."""
        async with self._database.read() as session:
            submission = await storage.find_submission(session, submission_id)
        if submission is None or not caller.may_see(submission.user_id):
            raise NotFoundError("There is no such submission.")
        return submission

    async def _earlier(self, caller: Caller, key: str) -> Submission | None:
        async with self._database.read() as session:
            return await storage.find_by_key(session, caller.user_id, key)

    async def _store(self, received: ReceivedFile) -> ObjectRef:
        file = ObjectRef(key=object_key(received.sha256), sha256=received.sha256, size_bytes=received.size_bytes)
        if not await self._objects.exists(file.key):
            await self._objects.put_file(file.key, received.path)
        await asyncio.to_thread(received.path.unlink, missing_ok=True)
        return file

    async def _record(
        self, submission: Submission, file: ObjectRef, received: ReceivedFile, idempotency_key: str | None
    ) -> bool:
        async with self._database.transaction() as transaction:
            await storage.insert_file(transaction.session, file)
            if not await storage.insert_submission(transaction.session, submission, received.options, idempotency_key):
                return False
            await transaction.publish(
                FileUploadedV1(
                    submission_id=submission.id,
                    scan_id=submission.scan_id,
                    user_id=submission.user_id,
                    file=file,
                    name=submission.name,
                    options=received.options,
                    accepted_at=submission.accepted_at,
                    deadline_at=submission.deadline_at,
                )
            )
            return True


def _same_bytes(earlier: Submission | None, received: ReceivedFile) -> Submission:
    if earlier is None or earlier.sha256 != received.sha256:
        raise IdempotencyKeyReusedError("This Idempotency-Key was used for another file; use a new one.")
    return earlier

"""The EICAR anti-malware test file (https://www.eicar.org/download-anti-malware-testfile/).

By its definition the file starts with the 68 characters and is at most 128 bytes long, the rest
being white space: space, tab, LF, CR, CTRL-Z.
"""

from __future__ import annotations

from scanner.detectors.base import Covered, Inspection, Subject
from scanner.detectors.pack import Pack
from shared.scan import Finding, Location, Verdict

# In two parts, so that this source file does not set off antivirus software.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + rb"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
MAX_BYTES = 128
_WHITE_SPACE = b" \t\n\r\x1a"


class EicarDetector:
    """Says `malicious` to the test file and to nothing else."""

    def __init__(self, pack: Pack) -> None:
        self.info = pack.info()
        self.shadow = pack.shadow
        self.covered = Covered()

    def wants(self, subject: Subject) -> bool:
        """Whether the size fits."""
        return len(EICAR) <= subject.content.size <= MAX_BYTES

    async def inspect(self, subject: Subject) -> Inspection:
        """Compare the bytes."""
        content = subject.content.read()
        if not content.startswith(EICAR) or content[len(EICAR) :].strip(_WHITE_SPACE):
            return Inspection()
        finding = Finding(
            detector=self.info,
            label="eicar-test-file",
            verdict=Verdict.MALICIOUS,
            score=1.0,
            reason="This is the EICAR test file, which every scanner reports; it does no harm.",
            locations=(Location(start=0, end=len(EICAR), label="eicar"),),
            shadow=self.shadow,
            metadata={"reference": "https://www.eicar.org/download-anti-malware-testfile/"},
        )
        return Inspection((finding,))

    async def close(self) -> None:
        """Hold nothing."""

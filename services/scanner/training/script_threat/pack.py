"""Writes the model pack: model.onnx is there already, detector.toml and its hash are added."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from script_threat.calibration import Calibration
from script_threat.preprocessing import ALIGNMENT, MAX_BYTES, PADDING_TOKEN, STRIDE, WINDOW

NAME = "script-threat"
COVERED = ("asp", "javascript", "php", "powershell", "python")
ALSO_SCORED = ("batch", "erb", "html", "perl", "shell", "vba")
GOLDEN_TEXT = "import os\n\n\ndef greet(name):\n    print('Hello, ' + name + os.linesep)\n"
MANIFEST = """\
name = "{name}"
version = "{version}"
kind = "byte-model"
description = "Web shells, droppers and malicious packages in scripts, by the byte n-grams that stand together in them."
# Content-type labels. "asp" holds ASPX and JSP too, which have no label of their own.
covers = {covered}
sha256 = "{sha256}"

[thresholds] # of the calibrated score: 1 % and 0.1 % of benign scripts exceed them
suspicious = {suspicious!r}
malicious = {malicious!r}

[calibration] # score = 1 / (1 + exp(-(slope * logit + intercept)))
method = "platt"
slope = {slope!r}
intercept = {intercept!r}

[input]
tensor = "tokens" # int32 [windows, length], length a multiple of `alignment`, at most `window`
score = "score" # float32 [windows], a logit; the file's is the largest
evidence = "evidence" # float32 [windows, length / alignment], what each position adds to the logit
normalise = ["utf16-to-utf8", "fold-case", "fold-space", "collapse-space", "shorten-runs"]
window = {window}
stride = {stride}
alignment = {alignment}
padding_token = {padding}
max_bytes = {max_bytes} # of a longer file the first 3/4 and the last 1/4 of this are read
# Labels that the model was trained on with too few malicious scripts to claim that it covers them.
also_scores = {also_scored}

[input.golden] # a text and the logit that a right installation gives it
text = {golden_text}
logit = {golden_logit:.4f}
tolerance = 0.01
"""


@dataclass(frozen=True)
class PackFacts:
    """What the manifest says beyond the constants."""

    version: str
    calibration: Calibration
    suspicious: float
    malicious: float
    golden_logit: float


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def render_manifest(facts: PackFacts, sha256: str) -> str:
    """The text of detector.toml."""
    return MANIFEST.format(
        name=NAME,
        version=facts.version,
        covered=json.dumps(COVERED),
        also_scored=json.dumps(ALSO_SCORED),
        sha256=sha256,
        suspicious=facts.suspicious,
        malicious=facts.malicious,
        slope=facts.calibration.slope,
        intercept=facts.calibration.intercept,
        window=WINDOW,
        stride=STRIDE,
        alignment=ALIGNMENT,
        padding=PADDING_TOKEN,
        max_bytes=MAX_BYTES,
        golden_text=json.dumps(GOLDEN_TEXT),
        golden_logit=facts.golden_logit,
    )

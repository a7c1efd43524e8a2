"""Figures by language, for tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from script_threat.metrics import Floats, Labels, detection_rate, roc_auc

LANGUAGES_IN_DOUBT = ("python",)  # shown by themselves where rows are left out
FEWEST_MALICIOUS, FEWEST_BENIGN = 5, 20  # below this a figure of a language says nothing


@dataclass(frozen=True)
class LanguageFigures:
    """What a detector does on the scripts of one language, thresholds taken on their own benign rows."""

    language: str
    malicious: int
    benign: int
    auc: float
    detected_1_percent: float
    detected_01_percent: float


def figures_by_language(labels: Labels, languages: Sequence[str], scores: Floats) -> list[LanguageFigures]:
    """One row for all languages together, then one for each that has enough scripts."""
    names = np.array(languages)
    rows = []
    for language in ["all", *sorted(set(languages))]:
        inside = np.full(len(labels), fill_value=True) if language == "all" else names == language
        malicious, benign = int((labels[inside] == 1).sum()), int((labels[inside] == 0).sum())
        if malicious < FEWEST_MALICIOUS or benign < FEWEST_BENIGN:
            continue
        rows.append(
            LanguageFigures(
                language,
                malicious,
                benign,
                roc_auc(labels[inside], scores[inside]),
                detection_rate(labels[inside], scores[inside], 0.01),
                detection_rate(labels[inside], scores[inside], 0.001),
            )
        )
    return rows


def without_doubt(
    labels: Labels, languages: Sequence[str], scores: Floats, weak: Labels, doubted: Labels
) -> list[tuple[str, LanguageFigures]]:
    """Figures of all rows, then without those whose own label is not sure; `weak` and `doubted` are 1 for such rows."""
    left = [
        ("all rows", np.zeros_like(labels)),
        ("without the doubted benign rows", doubted),
        ("without the malicious rows whose label is probable", weak),
        ("without either", weak | doubted),
    ]
    found = []
    for name, out in left:
        kept = np.flatnonzero(out == 0)
        figures = figures_by_language(labels[kept], [languages[place] for place in kept], scores[kept])
        found += [(name, row) for row in figures if row.language in ("all", *LANGUAGES_IN_DOUBT)]
    return found


@dataclass(frozen=True)
class VerdictCounts:
    """Verdicts at the shipped thresholds, which are the same for all languages."""

    language: str
    malicious: int
    benign: int
    flagged_malicious: int  # malicious scripts called malicious
    flagged_suspicious: int  # malicious scripts called suspicious or malicious
    false_malicious: int
    false_suspicious: int


def verdicts_by_language(
    labels: Labels, languages: Sequence[str], scores: Floats, suspicious: float, malicious: float
) -> list[VerdictCounts]:
    """One row a language, however few its scripts."""
    names = np.array(languages)
    rows = []
    for language in sorted(set(languages)):
        inside = names == language
        bad, good = scores[inside & (labels == 1)], scores[inside & (labels == 0)]
        rows.append(
            VerdictCounts(
                language,
                len(bad),
                len(good),
                int((bad >= malicious).sum()),
                int((bad >= suspicious).sum()),
                int((good >= malicious).sum()),
                int((good >= suspicious).sum()),
            )
        )
    return rows


@dataclass(frozen=True)
class ArchiveCounts:
    """Malicious archives by the verdict on the worst of their scripts."""

    archives: int
    flagged_malicious: int
    flagged_suspicious: int


def verdicts_by_archive(archives: Sequence[str], scores: Floats, suspicious: float, malicious: float) -> ArchiveCounts:
    """`archives` and `scores` are those of the scripts of malicious archives."""
    worst: dict[str, float] = {}
    for archive, score in zip(archives, scores, strict=True):
        worst[archive] = max(float(score), worst.get(archive, 0.0))
    found = np.array(list(worst.values()))
    return ArchiveCounts(len(found), int((found >= malicious).sum()), int((found >= suspicious).sum()))

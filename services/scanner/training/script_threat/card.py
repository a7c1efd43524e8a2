"""Writes the model card from what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from script_threat.calibration import Calibration, ReliabilityBin, calibration_error
from script_threat.evaluation import ArchiveCounts, LanguageFigures, VerdictCounts
from script_threat.proof import RANGES_SHOWN, EvidenceProof
from script_threat.robustness import RobustnessRow


@dataclass(frozen=True)
class Measurements:
    """Everything the card reports; costs in milliseconds of processor time per file."""

    training: dict[str, tuple[int, int]]  # language: malicious, benign
    figures: list[LanguageFigures]
    undoubted: list[tuple[str, LanguageFigures]]  # which rows, and the figures without the others
    doubted: int
    weak: int
    verdicts: list[VerdictCounts]
    archives: ArchiveCounts
    baseline: dict[str, tuple[str, str, str]]
    calibration: Calibration
    suspicious: float
    malicious: float
    reliability: list[ReliabilityBin]
    robustness: list[RobustnessRow]
    proof: EvidenceProof
    cost: float
    magika_cost: float | None
    size_bytes: int


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


FIGURES_HEAD = ("language", "malicious", "benign", "AUC", "TPR at 1 % FPR", "TPR at 0.1 % FPR")


def figure_cells(row: LanguageFigures, notes: tuple[str, str, str] = ("", "", "")) -> list[str]:
    """The cells of one row of figures; the notes stand behind the last three."""
    auc, one, tenth = notes
    return [
        row.language,
        str(row.malicious),
        str(row.benign),
        f"{row.auc:.4f}{auc}",
        f"{row.detected_1_percent:.3f}{one}",
        f"{row.detected_01_percent:.3f}{tenth}",
    ]


def figures_table(figures: list[LanguageFigures], baseline: dict[str, tuple[str, str, str]]) -> str:
    """Detection by language beside the baseline's, which stands in brackets."""
    rows = []
    for row in figures:
        auc, one, tenth = (f" ({figure})" if figure else "" for figure in baseline.get(row.language, ("", "", "")))
        rows.append(figure_cells(row, (auc, one, tenth)))
    return table(FIGURES_HEAD, rows)


def undoubted_table(figures: list[tuple[str, LanguageFigures]]) -> str:
    """Detection with and without the rows whose own label is not sure."""
    return table(("rows", *FIGURES_HEAD), [[name, *figure_cells(row)] for name, row in figures])


def verdicts_table(verdicts: list[VerdictCounts]) -> str:
    """Verdicts at the shipped thresholds."""
    head = ["language", "malicious", "called malicious", "or suspicious", "benign", "called malicious", "or suspicious"]
    return table(
        head,
        [
            [
                row.language,
                str(row.malicious),
                str(row.flagged_malicious),
                str(row.flagged_suspicious),
                str(row.benign),
                str(row.false_malicious),
                str(row.false_suspicious),
            ]
            for row in verdicts
        ],
    )


def reliability_table(rows: list[ReliabilityBin]) -> str:
    """The reliability diagram as a table with bars."""
    return table(
        ["score from", "scripts", "mean score", "malicious share", ""],
        [
            [
                f"{row.lower:.1f}",
                str(row.count),
                f"{row.mean_score:.3f}",
                f"{row.malicious_share:.3f}",
                "█" * round(row.malicious_share * 20),
            ]
            for row in rows
        ],
    )


def robustness_table(rows: list[RobustnessRow]) -> str:
    """Shares of malicious scripts still found under each change of form."""
    return table(
        ["change", "scripts", "at least suspicious", "malicious", "malicious verdicts kept"],
        [
            [row.name, str(row.scripts), f"{row.suspicious:.3f}", f"{row.malicious:.3f}", f"{row.kept:.3f}"]
            for row in rows
        ],
    )


def render_card(template: str, measured: Measurements, tried: str) -> str:
    """The card: the prose of the template with the tables and figures put in."""
    proof = measured.proof
    training = [[name, str(bad), str(good)] for name, (bad, good) in sorted(measured.training.items())]
    magika = "not measured" if measured.magika_cost is None else f"{measured.magika_cost:.1f} ms"
    parts = {
        "training": table(["language", "malicious", "benign"], training),
        "figures": figures_table(measured.figures, measured.baseline),
        "undoubted": undoubted_table(measured.undoubted),
        "doubted": str(measured.doubted),
        "weak": str(measured.weak),
        "verdicts": verdicts_table(measured.verdicts),
        "archives": str(measured.archives.archives),
        "archives_malicious": str(measured.archives.flagged_malicious),
        "archives_suspicious": str(measured.archives.flagged_suspicious),
        "reliability": reliability_table(measured.reliability),
        "calibration_error": f"{calibration_error(measured.reliability):.3f}",
        "slope": f"{measured.calibration.slope:.3f}",
        "intercept": f"{measured.calibration.intercept:.3f}",
        "suspicious": f"{measured.suspicious:.4f}",
        "malicious": f"{measured.malicious:.4f}",
        "robustness": robustness_table(measured.robustness),
        "ranges": str(RANGES_SHOWN),
        "proof_scripts": str(proof.scripts),
        "fall_shown": f"{proof.fall_shown:.2f}",
        "fall_random": f"{proof.fall_random:.2f}",
        "shown_wins": f"{proof.shown_wins:.1%}",
        "cost": f"{measured.cost:.1f} ms",
        "magika_cost": magika,
        "size": f"{measured.size_bytes / 1e6:.1f} MB",
        "tried": tried,
    }
    for name, text in parts.items():
        template = template.replace("{{" + name + "}}", text)
    return template

"""What the pages show: a frozen model for each template, and the pure functions that build them.

A handler builds one of the page models of `pages`, mostly through the builders of `scan` and
`submissions`, and passes it to `render`. Templates decide nothing but layout.
"""

from gateway.views.pages import (
    ErrorPage,
    Flash,
    FlashKind,
    HomePage,
    IssuedWebhook,
    ScanLive,
    ScanPage,
    SettingsPage,
    Shell,
    SignInPage,
    SubmissionChip,
    SubmissionRows,
    SubmissionsPage,
    Viewer,
    WebhookRow,
    WebhookSection,
    WelcomePage,
    error_page,
)
from gateway.views.rendering import render
from gateway.views.scan import LiveProgress, Phase, ScanView, scan_view
from gateway.views.shadows import PERIODS, ShadowsPage, comparison_view, shadow_key, shadows_page
from gateway.views.submissions import SubmissionFacts, SubmissionFilters, SubmissionRow, submission_row

__all__ = [
    "PERIODS",
    "ErrorPage",
    "Flash",
    "FlashKind",
    "HomePage",
    "IssuedWebhook",
    "LiveProgress",
    "Phase",
    "ScanLive",
    "ScanPage",
    "ScanView",
    "SettingsPage",
    "ShadowsPage",
    "Shell",
    "SignInPage",
    "SubmissionChip",
    "SubmissionFacts",
    "SubmissionFilters",
    "SubmissionRow",
    "SubmissionRows",
    "SubmissionsPage",
    "Viewer",
    "WebhookRow",
    "WebhookSection",
    "WelcomePage",
    "comparison_view",
    "error_page",
    "render",
    "scan_view",
    "shadow_key",
    "shadows_page",
    "submission_row",
]

"""HTML to PDF in processes of their own: `pool` keeps them, `worker` is what they run."""

from reports.pdf.pool import PdfPool

__all__ = ["PdfPool"]

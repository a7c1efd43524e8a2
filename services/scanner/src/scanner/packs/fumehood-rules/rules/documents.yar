/*
  Documents that start something when they are opened.
*/

rule pdf_starts_program
{
    meta:
        description = "A PDF starts a program or opens a file it carries when it is opened."
        severity = "high"
        author = "Fumehood"
        reference = "ISO 32000-1, 12.6.4.5 (launch actions)"
    strings:
        $trigger = /\/(OpenAction|AA)\b/
        $launch = /\/S\s{0,4}\/Launch\b/
        $program = /\/(F|P|Win)\s{0,4}(<<\s{0,4}\/(F|P)\s{0,4})?\(?[^)>]{0,120}(cmd|powershell|mshta|wscript|rundll32|\.exe|\.bat|\.vbs|\.js|\/bin\/(ba)?sh)/ nocase
        $export = /exportDataObject\s*\(\s*\{[^}]{0,200}nLaunch\s*:\s*2/
    condition:
        uint32be(0) == 0x25504446 and (($trigger and $launch and $program) or $export)
}

rule pdf_script_builds_exploit
{
    meta:
        description = "The script of a PDF fills memory or calls functions known for exploits."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1203/"
    strings:
        $script = /\/(JavaScript|JS)\b/
        $spray = /unescape\s*\(\s*["'](%u[0-9a-fA-F]{4}){4}/
        $call = /\b(Collab\s*\.\s*(getIcon|collectEmailInfo)|util\s*\.\s*printf\s*\(\s*["']%45000|media\s*\.\s*newPlayer\s*\(\s*null|spell\s*\.\s*customDictionaryOpen)/
    condition:
        uint32be(0) == 0x25504446 and $script and any of ($spray, $call)
}

rule metafile_sets_abort_procedure
{
    meta:
        description = "A Windows metafile brings a procedure of its own (SETABORTPROC), which old programs run."
        severity = "high"
        author = "Fumehood"
        reference = "https://nvd.nist.gov/vuln/detail/CVE-2005-4560"
    strings:
        $escape = { 26 06 09 00 }
    condition:
        (uint32be(0) == 0xD7CDC69A or uint32be(0) == 0x01000900 or uint32be(0) == 0x02000900) and $escape
}

rule macro_starts_program
{
    meta:
        description = "An Office macro runs by itself and starts a program or fetches a file."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1204/002/"
    strings:
        $auto = /\b(Sub|Function)\s{1,4}(Auto_?Open|Auto_?Close|AutoExec|Document_(Open|Close|New)|Workbook_(Open|Activate|BeforeClose)|Presentation_Open)\s{0,4}\(/ nocase
        $run = /\bShell\s{1,4}["'(]|=\s{0,4}Shell\s{0,4}\(|\b(CreateObject\s*\(\s*["'](WScript\.Shell|Shell\.Application|MSXML2\.\w{0,6}XMLHTTP|Microsoft\.XMLHTTP)|ShellExecute[AW]?\b|WinExec\b)/ nocase
        $fetch = /\b(URLDownloadToFile[AW]?|powershell|mshta|certutil|bitsadmin|ADODB\.Stream|cmd(\.exe)?\s+\/c)\b/ nocase
    condition:
        all of them and filesize < 20MB
}

rule macro_formula_starts_program
{
    meta:
        description = "A formula of an Excel 4.0 macro starts a program, fetches a file or puts machine code into memory."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1137/"
    strings:
        // as the scanner writes the cells of a macro sheet
        $start = /(^|\n)[A-Z]{1,3}[0-9]{1,7}: =[^\n]{0,200}\bEXEC\([^\n]{0,400}\b(cmd|powershell|pwsh|mshta|rundll32|regsvr32|wscript|cscript|certutil|bitsadmin|wmic|msiexec|explorer)\b/ nocase
        $call = /(^|\n)[A-Z]{1,3}[0-9]{1,7}: =[^\n]{0,200}\b(CALL|REGISTER)\([^\n]{0,400}\b(URLDownloadToFile|ShellExecute|CreateProcess|WinExec|VirtualAlloc|CreateThread|WriteProcessMemory|RtlMoveMemory|InternetOpenUrl)(Ex)?[AW]?\b/ nocase
    condition:
        any of them
}

rule office_template_from_network
{
    meta:
        description = "An Office document loads its template from the network when it is opened, a way to bring in macros."
        severity = "medium"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1221/"
    strings:
        $relations = "<Relationships"
        $template = /relationships\/attachedTemplate"[^>]{0,200}Target="(https?|file|mhtml):[^"]{4,}/
        $template_reversed = /Target="(https?|file|mhtml):[^"]{4,300}"[^>]{0,200}relationships\/attachedTemplate"/
    condition:
        $relations and any of ($template, $template_reversed)
}

rule office_calls_diagnostic_tool
{
    meta:
        description = "A document calls the Windows diagnostic tool with a program in its arguments (CVE-2022-30190)."
        severity = "high"
        author = "Fumehood"
        reference = "https://nvd.nist.gov/vuln/detail/CVE-2022-30190"
    strings:
        $call = /ms-msdt:[^\r\n]{0,400}(IT_BrowseForFile|IT_RebrowseForFile)[^\r\n]{0,200}\$\(/ nocase ascii wide
    condition:
        $call
}

rule office_field_starts_program
{
    meta:
        description = "A field of an Office document starts a program (dynamic data exchange)."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1559/002/"
    strings:
        $field = /\bDDE(AUTO)?\s{1,4}["']?[^<\r\n]{0,60}(cmd|powershell|mshta|rundll32|regsvr32)(\.exe)?\b/ nocase ascii wide
        $formula = /[=+\-@](cmd|msexcel|powershell)\s{0,2}\|\s{0,2}['"][^'"\r\n]{0,20}\/c\s[^\r\n]{3,}!/ nocase ascii wide
    condition:
        any of them
}

rule rtf_object_runs_on_open
{
    meta:
        description = "An RTF document carries an object of the old equation editor or one that updates itself on opening."
        severity = "high"
        author = "Fumehood"
        reference = "https://nvd.nist.gov/vuln/detail/CVE-2017-11882"
    strings:
        $data = /\\objdata\b/
        $update = /\\objupdate\b/
        $equation_class = /4571756174696f6e2e33/ nocase
        $equation_id = /02ce020000000000c000000000000046/ nocase
        $package = /5061636b61676500/ nocase
    condition:
        uint32be(0) == 0x7b5c7274 and $data and (any of ($equation_class, $equation_id) or ($update and $package))
}

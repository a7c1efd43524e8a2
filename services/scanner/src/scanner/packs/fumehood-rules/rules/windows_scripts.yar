/*
  Windows Script Host, HTML applications, batch files and shortcuts that fetch and start programs.
*/

rule script_host_downloader
{
    meta:
        description = "A Windows script downloads a file, saves it and starts it: a dropper."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1059/005/"
    strings:
        $shell = /["'](WScript\.Shell|Shell\.Application)["']/ nocase ascii wide
        $fetch = /["'](MSXML2\.(Server)?XMLHTTP(\.\d\.0)?|Microsoft\.XMLHTTP|WinHttp\.WinHttpRequest\.5\.1)["']/ nocase ascii wide
        $stream = /["']ADODB\.Stream["']/ nocase ascii wide
        $save = /\.\s*SaveToFile\b/ nocase ascii wide
        $run = /\.\s*(Run|Exec|ShellExecute)\b\s*[\("'a-z]/ nocase ascii wide
    condition:
        all of them and filesize < 2MB
}

rule script_host_split_names
{
    meta:
        description = "A Windows script hides the names of the objects it needs by cutting them in pieces."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1027/"
    strings:
        $shell = /["']W["'\s]{1,4}[+&]\s{0,3}["']Scr?["'\s]{0,3}|["']WScr["']\s{0,3}[+&]\s{0,3}["']ipt|["']WScript\.["']\s{0,3}[+&]\s{0,3}["']S["']?|["']WScript\.S["']\s{0,3}[+&]/ nocase ascii wide
        $stream = /["']ADO["']\s{0,3}[+&]\s{0,3}["']DB|["']ADODB\.?["']\s{0,3}[+&]\s{0,3}["']\.?S|["']ADODB\.S["']\s{0,3}[+&]/ nocase ascii wide
        $fetch = /["']MSXML["']\s{0,3}[+&]\s{0,3}["']2|["']MSXML2?\.?["']\s{0,3}[+&]\s{0,3}["']\.?X|["']MSXML2\.X["']\s{0,3}[+&]/ nocase ascii wide
        $create = /\b(CreateObject|ActiveXObject)\b/ nocase ascii wide
    condition:
        $create and any of ($shell, $stream, $fetch) and filesize < 2MB
}

rule script_runs_hidden_powershell
{
    meta:
        description = "A Windows script, HTML application or macro starts PowerShell out of sight."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1059/"
    strings:
        $object = /\b(CreateObject|ActiveXObject|GetObject)\s*\(\s*["'](WScript\.Shell|Shell\.Application|winmgmts:[^"']{0,80})["']/ nocase ascii wide
        $hidden = /powershell[^\r\n]{0,120}-(w|win|windowstyle)\s+(hidden|1\b)/ nocase ascii wide
        $bypass = /powershell[^\r\n]{0,120}(-ep|-exec(utionpolicy)?)\s+bypass[^\r\n]{0,300}(http|frombase64|-enc)/ nocase ascii wide
    condition:
        $object and any of ($hidden, $bypass) and filesize < 2MB
}

rule html_application_dropper
{
    meta:
        description = "An HTML application starts programs from its script as soon as it is opened."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1218/005/"
    strings:
        $application = /<hta:application\b/ nocase ascii wide
        $script = /<script\b/ nocase ascii wide
        $object = /["'](WScript\.Shell|Shell\.Application)["']/ nocase ascii wide
        $run = /\.\s*(Run|Exec|ShellExecute)\b\s*[\("'a-z]/ nocase ascii wide
        $out_of_sight = /\b(window\.)?(resizeTo\s*\(?\s*[01]\s*,\s*[01]|moveTo\s*\(?\s*-\d{3,})/ nocase ascii wide
        $interpreter = /["'][^"'\r\n]{0,60}\b(powershell|mshta|rundll32|regsvr32|certutil|bitsadmin)\b/ nocase ascii wide
    condition:
        $script and $object and $run and (($application and $interpreter) or $out_of_sight)
}

rule command_line_fetches_program
{
    meta:
        description = "A command line uses a tool of Windows to fetch and run code from the network."
        severity = "high"
        author = "Fumehood"
        reference = "https://lolbas-project.github.io/"
    strings:
        $regsvr = /\bregsvr32(\.exe)?\s[^\r\n]{0,60}\/i:["']?https?:\/\/[^\r\n]{3,200}\bscrobj/ nocase ascii wide
        $mshta = /\bmshta(\.exe)?["']?\s{1,3}["']?(vbscript|javascript):[^\r\n]{0,200}(execute|run|eval|wscript\.shell)/ nocase ascii wide
        $mshta_web = /(^|[\r\n&|("'])\s*(start\s+)?(c:\\windows\\system32\\)?mshta(\.exe)?["']?\s{1,3}["']?https?:\/\/\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}/ nocase ascii wide
        $certutil = /\bcertutil(\.exe)?\s[^\r\n]{0,60}-urlcache[^\r\n]{0,60}\shttps?:\/\/[^\r\n]{3,300}(&|\r?\n)\s*(start\s+)?[^\r\n&]{0,80}\.(exe|dll|bat|vbs|js|ps1)/ nocase ascii wide
        $bits = /\bbitsadmin(\.exe)?\s[^\r\n]{0,60}\/transfer[^\r\n]{0,80}\shttps?:\/\/[^\r\n]{3,300}\.(exe|dll|bat|vbs|ps1)[^\r\n]{0,200}(&|\r?\n)\s*(start\b|call\b|"?%temp%|"?%appdata%)/ nocase ascii wide
    condition:
        any of them
}

rule shortcut_runs_script
{
    meta:
        description = "A Windows shortcut starts a script interpreter that hides or fetches what it runs."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1204/002/"
    strings:
        $interpreter = /\b(powershell|mshta|cmd|wscript|cscript|rundll32)(\.exe)?\b/ nocase ascii wide
        $hides = /-(w|win|windowstyle)\s{1,3}(hidden|1\b)|-e(nc|ncodedcommand)?\s{1,3}[A-Za-z0-9+\/]{40}|downloadstring|frombase64string|invoke-expression|\biex\b/ nocase ascii wide
        $fetches = /(mshta(\.exe)?|iwr|invoke-webrequest|curl(\.exe)?|bitsadmin|certutil)["']?\s[^\r\n]{0,80}https?:\/\// nocase ascii wide
    condition:
        uint32(0) == 0x0000004C and uint32(4) == 0x00021401 and $interpreter and any of ($hides, $fetches)
}

rule page_smuggles_file
{
    meta:
        description = "A page carries a file in its script and hands it to the visitor as a download by itself."
        severity = "medium"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1027/006/"
    strings:
        $page = /<(html|svg|script)\b/ nocase
        $decode = /\b(atob|base64ToArrayBuffer|Uint8Array\.from)\s*\(/ nocase
        $blob = /new\s+Blob\s*\(/
        $link = /\b(createObjectURL|msSaveOrOpenBlob|msSaveBlob)\b/
        $click = /\.\s*click\s*\(\s*\)|msSave/
        $name = /["'][^"'\n\/]{1,60}\.(iso|img|vhd|exe|scr|js|jse|vbs|hta|lnk|msi|one|zip|rar|7z)["']/ nocase
        $payload = /["'`][A-Za-z0-9+\/]{2000}/
    condition:
        all of them
}

/*
  PowerShell that fetches, unpacks or hides what it runs.
*/

rule powershell_hidden_download
{
    meta:
        description = "PowerShell is started hidden or without its policy and runs what it downloads."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1059/001/"
    strings:
        $quiet = /powershell(\.exe)?["']?\s[^\r\n]{0,200}-(w|wi|win|windowstyle|windowst|windows)\s{1,3}(hidden|h\b|1\b)/ nocase ascii wide
        $string = /\.\s*download(string|data)\s*\(/ nocase ascii wide
        $file = /\.\s*downloadfile\s*\([^\r\n]{4,200}(start-process|invoke-item|\bstart\b|\bsaps\b|shellexecute|&\s*['"$])/ nocase ascii wide
        $web = /(invoke-webrequest|\biwr\b|invoke-restmethod|\birm\b)[^\r\n]{4,200}(\|\s*iex\b|\|\s*invoke-expression)/ nocase ascii wide
    condition:
        $quiet and any of ($string, $file, $web)
}

rule powershell_download_and_run
{
    meta:
        description = "PowerShell runs text straight from the network."
        severity = "medium"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1059/001/"
    strings:
        $before = /\b(iex|invoke-expression)\b\s{0,5}[("'$&\s]{0,6}(new-object\s+["']?(system\.)?net\.webclient|\[(system\.)?text\.encoding\][^\r\n]{0,80}downloaddata)/ nocase ascii wide
        $after = /net\.webclient["']?\s*\)?\s*\)?\s*\.\s*downloadstring\s*\([^\r\n]{4,300}\)\s*\)?\s*\|\s*(iex|invoke-expression)\b/ nocase ascii wide
        $installer = /https:\/\/(\w+\.)?(chocolatey\.org|get\.scoop\.sh|raw\.githubusercontent\.com\/(scoopinstaller|lukesampson|microsoft|powershell)\/|aka\.ms|dot\.net|get\.activated\.win|install\.python-poetry\.org|astral\.sh|bun\.sh|deno\.land|sh\.rustup\.rs|get\.pnpm\.io)/ nocase ascii wide
    condition:
        any of ($before, $after) and not $installer
}

rule powershell_encoded_command
{
    meta:
        description = "A command line hands PowerShell a Base64 program."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1027/010/"
    strings:
        $command = /\bpowershell(\.exe)?["']?\s[^\r\n]{0,200}-(e|ec|en|enc|enco|encod|encode|encoded|encodedc|encodedco|encodedcom|encodedcomm|encodedcomma|encodedcomman|encodedcommand)\s{1,4}["']?[A-Za-z0-9+\/]{40}/ nocase ascii wide
        // The Base64 of UTF-16 text of Latin letters: every second byte is zero.
        $text = /([A-Za-z0-9+\/][AQgw][AB][A-Za-z0-9+\/]A[A-H][A-Za-z0-9+\/]A){5}/ ascii wide
    condition:
        $command and $text
}

rule powershell_unpacks_and_runs_itself
{
    meta:
        description = "PowerShell decodes, decompresses and runs a program it carries."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1027/"
    strings:
        $decode = /\[(system\.)?convert\]\s*::\s*["']?frombase64string/ nocase ascii wide
        $inflate = /io\.compression\.(gzip|deflate)stream/ nocase ascii wide
        $read = /\.\s*readtoend\s*\(/ nocase ascii wide
        $run = /(^|[\s|;&({.])(iex|invoke-expression)\b|\.\s*invoke\s*\(|\[(system\.)?reflection\.assembly\]\s*::\s*load/ nocase ascii wide
        $payload = /["'][A-Za-z0-9+\/]{200}/ ascii wide
    condition:
        $decode and $inflate and $read and $run and $payload
}

rule powershell_runs_machine_code
{
    meta:
        description = "PowerShell copies machine code into memory and runs it."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1055/"
    strings:
        $allocate = /\bVirtualAlloc(Ex)?\b/ nocase ascii wide
        $thread = /\bCreate(Remote)?Thread\b|\bGetDelegateForFunctionPointer\b/ nocase ascii wide
        $copy = /\[(System\.)?(Runtime\.InteropServices\.)?Marshal\]\s*::\s*Copy\s*\(|\bWriteProcessMemory\b|\bmemset\b/ nocase ascii wide
        $bytes = "[byte[]]" nocase ascii wide
        $code = /(0x[0-9a-f]{1,2}\s{0,3},\s{0,3}){16}/ nocase ascii wide
        $encoded_code = /FromBase64String\s*\(\s*["'][A-Za-z0-9+\/]{100}/ nocase ascii wide
    condition:
        $allocate and $thread and $copy and (($bytes and $code) or $encoded_code)
}

rule powershell_switches_off_amsi
{
    meta:
        description = "PowerShell switches off the interface by which antivirus software sees scripts."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1562/001/"
    strings:
        $class = /\bAm["'+\s]{0,6}si["'+\s]{0,6}Ut["'+\s]{0,6}ils\b/ nocase ascii wide
        $field = /\bam["'+\s]{0,6}si["'+\s]{0,6}Init["'+\s]{0,6}Fai["'+\s]{0,6}led\b/ nocase ascii wide
        $set = /\bSetValue\s*\(/ nocase ascii wide
    condition:
        $class and $field and $set
}

rule powershell_reverse_shell
{
    meta:
        description = "PowerShell connects out and runs what the other side sends: a reverse shell."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1059/001/"
    strings:
        $connect = /net\.sockets\.tcpclient["']?\s*\(/ nocase ascii wide
        $stream = /\.\s*getstream\s*\(\s*\)/ nocase ascii wide
        $run = /\b(iex|invoke-expression)\b[^\r\n]{0,80}2>&1/ nocase ascii wide
    condition:
        all of them
}

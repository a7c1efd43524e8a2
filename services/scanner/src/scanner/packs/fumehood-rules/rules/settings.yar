/*
    Texts that are no scripts and by which a system or a program still acts: shortcuts, settings, queries, projects.
*/

rule setup_information_runs_program
{
    meta:
        description = "A setup information file runs programs or script components when it is installed, or a disc when it is put in."
        severity = "medium"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1218/003/"
    strings:
        $install = /(^|[\r\n])\s*\[(Default(Install|Uninstall)(_SingleUser)?[\w.]*)\]/ nocase ascii wide
        $commands = /(^|[\r\n])\s*(RunPreSetupCommands|RunPostSetupCommands)(Section)?\s*=/ nocase ascii wide
        $component = /\b(scrobj|url)\.dll\s*,[^\r\n]{0,60}(https?:|\.sct\b|FileProtocolHandler)/ nocase ascii wide
        $autorun = /(^|[\r\n])\s*\[autorun[\w.]*\]/ nocase ascii wide
        $start = /(^|[\r\n])\s*(open|shellexecute|shell\\[\w ]{1,40}\\command)\s*=\s*[^\r\n]{0,200}\.(exe|scr|com|pif|bat|cmd|vbs|vbe|js|jse|wsf|ps1|lnk|dll)\b/ nocase ascii wide
        $own = /(^|[\r\n])\s*(open|shellexecute)\s*=\s*"?(\.\\)?(auto(run|play|start)|setup|install|start)\w{0,10}(\.exe|\.bat)?"?\s*(\/\w+\s*)?(\r|\n|$)/ nocase ascii wide
    condition:
        filesize < 1MB and (($install and any of ($commands, $component)) or ($autorun and #start > #own))
}

rule icon_from_share
{
    meta:
        description = "A shortcut or folder takes its icon from a share of another machine, to which the viewer's machine then signs in."
        severity = "medium"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1187/"
    strings:
        $section = /(^|[\r\n])\s*\[(Shell|InternetShortcut(\.[AW])?|\.ShellClassInfo|Theme)\]/ nocase ascii wide
        $share = /(^|[\r\n])\s*(IconFile|IconResource|Logo|BrandImage|Wallpaper|Path)\s*=\s*(\\\\|file:\/\/)[\w.-]{1,200}[\\\/@]/ nocase ascii wide
    condition:
        filesize < 1MB and all of them
}

rule internet_shortcut_starts_program
{
    meta:
        description = "An internet shortcut opens a program or script, not a page."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1204/002/"
    strings:
        $section = /(^|[\r\n])\s*\[InternetShortcut(\.[AW])?\]/ nocase ascii wide
        $program = /(^|[\r\n])\s*URL\s*=\s*"?(file:|\\\\)[^\r\n]{1,400}\.(exe|scr|com|pif|bat|cmd|cpl|dll|hta|jar|js|jse|lnk|msi|ps1|url|vbs|vbe|wsf|zip\\[^\r\n]{1,100})"?\s*(\r|\n|$)/ nocase ascii wide
        $local = /(^|[\r\n])\s*URL\s*=\s*"?file:\/\/\/[A-Za-z]:[\/\\]Program/ nocase ascii wide
    condition:
        filesize < 1MB and $section and $program and not $local
}

rule desktop_entry_fetches_code
{
    meta:
        description = "A desktop entry of Linux fetches or decodes the code that it starts."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1204/002/"
    strings:
        $section = /(^|[\r\n])\s*\[Desktop Entry\]/
        $fetches = /(^|[\r\n])\s*Exec\s*=[^\r\n]{0,300}\b(curl|wget)\b[^\r\n]{0,300}(\||;|&&)[^\r\n]{0,40}\b((ba|z|da)?sh|python3?|perl|chmod|xxd|base64)\b/
        $decodes = /(^|[\r\n])\s*Exec\s*=[^\r\n]{0,300}\b(base64\s+(-d|--decode)|xxd\s+-r|openssl\s+enc)\b[^\r\n]{0,300}(\||;|&&)[^\r\n]{0,40}\b((ba|z|da)?sh|python3?|perl)\b/
        $runs = /(^|[\r\n])\s*Exec\s*=[^\r\n]{0,60}\b(sh|bash|zsh|dash|python3?)\s+-c\b[^\r\n]{0,400}\$\((curl|wget)\b/
    condition:
        filesize < 10MB and $section and any of ($fetches, $decodes, $runs)
}

rule spreadsheet_text_runs_program
{
    meta:
        description = "A spreadsheet in symbolic link format (SYLK) starts a program by a macro."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1559/"
    strings:
        $begin = /^\s{0,4}ID;P/
        $call = /;E([^\r\n]{0,20}\W)?(EXEC|CALL|REGISTER|FOPEN|FWRITE)\(/ nocase
        $exchange = /;E([^\r\n]{0,20}\W)?(MSEXCEL|cmd|powershell|mshta|rundll32)\|/ nocase
    condition:
        filesize < 20MB and $begin and any of ($call, $exchange)
}

rule query_of_office_fetches_page
{
    meta:
        description = "A query file makes Excel fetch a table, and the formulas in it, from the network."
        severity = "medium"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1221/"
    strings:
        $query = /^WEB\r?\n1\r?\n(https?|ftp|file):[^\r\n]{3,400}/ nocase
    condition:
        filesize < 100KB and $query in (0..100)
}

rule search_opens_share
{
    meta:
        description = "A library or saved search shows the files of another machine as if they were here."
        severity = "medium"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1204/002/"
    strings:
        $library = /<(libraryDescription|searchConnectorDescription)\b/ nocase ascii wide
        $share = /<url>\s*(\\\\|https?:|file:\/\/)[\w.-]/ nocase ascii wide
    condition:
        filesize < 1MB and all of them
}

rule settings_shortcut_starts_program
{
    meta:
        description = "A shortcut to a page of the Windows settings starts a program in its place."
        severity = "high"
        author = "Fumehood"
        reference = "https://posts.specterops.io/the-tale-of-settingcontent-ms-files-f1ea253e4d39"
    strings:
        $settings = /<PCSettings\b/ nocase ascii wide
        $program = /<DeepLink>[^<]{0,200}\b(cmd|powershell|pwsh|mshta|rundll32|regsvr32|wscript|cscript|certutil|bitsadmin|msiexec)\b/ nocase ascii wide
    condition:
        filesize < 1MB and all of them
}

rule console_file_runs_script
{
    meta:
        description = "A console file of Windows runs a script through a page of the system (GrimResource)."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1218/014/"
    strings:
        $console = /<MMC_ConsoleFile\b/ nocase ascii wide
        $redirect = /\bapds\.dll\/redirect\.html\?/ nocase ascii wide
        $link = /\bjavascript:|vbscript:/ nocase ascii wide
    condition:
        filesize < 20MB and $console and any of ($redirect, $link)
}

rule style_sheet_runs_script
{
    meta:
        description = "An XSL style sheet has a script that starts programs or fetches files."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1220/"
    strings:
        $sheet = /<([\w-]{1,20}:)?(stylesheet|transform)\b/ nocase ascii wide
        $script = /<[\w-]{1,20}:script\b[^>]{0,300}language\s*=\s*["'](jscript|javascript|vbscript|c#)/ nocase ascii wide
        $acts = /\b(WScript\.Shell|Shell\.Application|MSXML2\.(Server)?XMLHTTP|ADODB\.Stream|Process\.Start|DllImport)\b/ nocase ascii wide
    condition:
        filesize < 5MB and all of them
}

rule project_compiles_and_injects
{
    meta:
        description = "A project file of MSBuild compiles code of its own that puts machine code into memory or starts programs."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1127/001/"
    strings:
        $task = /<UsingTask\b[^>]{0,400}\b(CodeTaskFactory|RoslynCodeTaskFactory)\b/ nocase ascii wide
        $code = /<Code\b/ nocase ascii wide
        $memory = /\b(VirtualAlloc(Ex)?|VirtualProtect|CreateThread|WriteProcessMemory|NtCreateSection|EnumSystemLocales)\b/ ascii wide
        $assembly = /\bAssembly\s*\.\s*Load\s*\([^)]{0,200}FromBase64String/ ascii wide
    condition:
        filesize < 20MB and $task and $code and any of ($memory, $assembly)
}

rule registry_file_starts_script
{
    meta:
        description = "A registry file makes Windows start a hidden or fetched script by itself."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1547/001/"
    strings:
        $registry = /(Windows Registry Editor Version 5\.00|REGEDIT4)/ ascii wide
        $key = /[\r\n]\[[^\]\r\n]{0,200}(\\CurrentVersion\\(Run|RunOnce|Winlogon|Image File Execution Options\\[^\]\r\n]{1,60})|\\shell\\open\\command)\]/ nocase ascii wide
        $script = /[\r\n]("[^"\r\n]{1,100}"|@)\s*=\s*"[^\r\n]{0,200}\b(powershell|pwsh|mshta|wscript|cscript|rundll32|regsvr32)(\.exe)?\b[^\r\n]{0,300}(hidden|-e(nc|ncodedcommand)?\s{1,3}[A-Za-z0-9+\/]{8}|https?:|javascript:|vbscript:|\.(vbs|vbe|js|jse|hta|sct|ps1)\b)/ nocase ascii wide
    condition:
        filesize < 20MB and $registry in (0..10) and $key and $script
}

rule server_settings_run_other_files
{
    meta:
        description = "Settings of a web server make it run pictures or texts as PHP, or put code before every page."
        severity = "medium"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
    strings:
        $type = /(^|[\r\n])\s*Add(Type|Handler)\s+[^\r\n]{0,40}\b(x-httpd-php\w{0,10}|php\d?-script|cgi-script)\s+[^\r\n]{0,100}\.(jpe?g|png|gif|ico|bmp|txt|css|pdf)\b/ nocase
        $before = /(^|[\r\n])\s*(php_value\s+)?auto_(prepend|append)_file\s*[=\s]\s*["']?([^\r\n]{0,200}\.(jpe?g|png|gif|ico|bmp|txt|css|pdf)\b|data:|php:\/\/input|https?:)/ nocase
    condition:
        filesize < 1MB and any of them
}

rule server_settings_carry_page
{
    meta:
        description = "The settings of an ASP.NET folder make the server run them as a page, or carry one."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1505/004/"
    strings:
        $settings = /<system\.webServer\b/ nocase ascii wide
        $handler = /<add\b[^>]{0,200}\bpath\s*=\s*["'][^"']{0,40}\*?\.(config|jpe?g|png|gif|txt)["'][^>]{0,300}\b(asp|aspnet_isapi|PageHandlerFactory)/ nocase ascii wide
    condition:
        filesize < 1MB and all of them
}

rule source_hides_in_encoding
{
    meta:
        description = "Python source declares an encoding in which code does not look like code."
        severity = "medium"
        author = "Fumehood"
        reference = "https://peps.python.org/pep-0263/"
    strings:
        $coding = /(^|[\r\n])[ \t\f]*#[^\r\n]{0,80}coding[:=][ \t]*(u(tf)?[-_]?7|unicode[-_]1[-_]1[-_]utf[-_]7|(raw[-_])?unicode[-_]escape|rot[-_]?13|cp037|cp500|cp1140)\b/ nocase
    condition:
        filesize < 20MB and $coding in (0..200)
}

rule editor_runs_task_by_itself
{
    meta:
        description = "Settings of an editor run a command that fetches code as soon as their folder is opened."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1204/"
    strings:
        $open = /"runOn"\s*:\s*"folderOpen"/
        $fetches = /"command"\s*:\s*"[^"\r\n]{0,300}\b(curl|wget|iwr|irm|powershell|mshta|certutil)\b[^"\r\n]{0,300}(\||-enc|hidden|https?:)/ nocase
    condition:
        filesize < 1MB and all of them
}

rule repository_settings_run_command
{
    meta:
        description = "Settings of a Git repository run a command for whoever looks into it or fetches its parts."
        severity = "medium"
        author = "Fumehood"
        reference = "https://git-scm.com/docs/git-config#Documentation/git-config.txt-corefsmonitor"
    strings:
        $core = /(^|[\r\n])\s*\[core\]/ nocase
        $command = /(^|[\r\n])\s*(fsmonitor|sshCommand|gitProxy|askPass)\s*=\s*[^\r\n]{0,300}([;|&`]|\$\(|\bsh\s+-c\b|\b(curl|wget|bash|nc|python3?|powershell|touch)\b)/ nocase
        $part = /(^|[\r\n])\s*\[submodule\s/
        $option = /(^|[\r\n])\s*(url|path|update)\s*=\s*["']?(-|ext::|!)/
    condition:
        filesize < 1MB and (($core and $command) or ($part and $option))
}

/*
  Packages that run something else than they say when they are installed or imported.
*/

rule python_runs_downloaded_code
{
    meta:
        description = "Python runs code straight from the network."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1195/001/"
    strings:
        $direct = /\b(exec|eval)\s{0,3}\(\s{0,5}(compile\s*\(\s*)?(__import__\s*\(\s*["'](requests|urllib\.request|urllib2)["']\s*[^)]{0,40}\)\s*\.\s*|requests\s*\.\s*|urllib\.request\s*\.\s*|urllib2\s*\.\s*|httpx\s*\.\s*)?(get|urlopen|_?uurlopen|request\.urlopen)\s*\([^\n]{4,300}\)\s*\.\s*(text|content|read\s*\()/
        $piped = /\b(os\.system|subprocess\.(run|call|Popen|check_output|getoutput))\s*\(\s*f?["'\[][^\n]{0,120}\b(curl|wget)\b[^\n|]{4,200}\|\s*(sudo\s+)?(ba)?sh\b/
        $encoded = /\b(os\.system|subprocess\.(run|call|Popen|check_output))\s*\(\s*f?["'\[][^\n]{0,80}powershell[^\n]{0,120}-e(nc|ncodedcommand)?["',\s]{1,5}[A-Za-z0-9+\/]{40}/ nocase
        $installer = /https:\/\/(bootstrap\.pypa\.io|sh\.rustup\.rs|install\.python-poetry\.org|raw\.githubusercontent\.com\/pypa\/|get\.docker\.com|deb\.nodesource\.com|astral\.sh)/
    condition:
        any of ($direct, $piped, $encoded) and not $installer
}

rule python_runs_decoded_code
{
    meta:
        description = "Python decodes text it carries and runs it."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1027/"
    strings:
        $base64 = /\bexec\s{0,3}\(\s{0,5}(\(|_|compile\s*\(\s*)?\s*(__import__\s*\(\s*["'](base64|zlib|codecs)["']\s*\)\s*\.\s*|base64\s*\.\s*|zlib\s*\.\s*|lzma\s*\.\s*|gzip\s*\.\s*)(b64decode|b32decode|b85decode|urlsafe_b64decode|decompress)\s*\(\s*(b?["'][A-Za-z0-9+\/=\\]{40}|(__import__\s*\(\s*["']base64["']\s*\)\s*\.\s*|base64\s*\.\s*)(b64decode|b32decode|b85decode)\s*\(\s*b?["'])/
        $fernet = /\bexec\s{0,3}\(\s{0,5}(Fernet|fernet)\s*\(\s*b?["'][^"'\n]{20,80}["']\s*\)\s*\.\s*decrypt\s*\(/
        $lambda = /_\s*=\s*lambda\s+__\s*:\s*__import__\s*\(\s*["']zlib["']\s*\)\s*\.\s*decompress\s*\(\s*__import__\s*\(\s*["']base64["']\s*\)/
        $hex = /\bexec\s{0,3}\(\s{0,5}(bytes\.fromhex|bytearray\.fromhex|codecs\.decode)\s*\(\s*["'][0-9a-fA-F]{60}/
        $chars = /\bexec\s{0,3}\(\s{0,5}["']{2}\s*\.\s*join\s*\(\s*(chr\s*\(|map\s*\(\s*chr\s*,|\[\s*chr\s*\()/
    condition:
        any of them
}

rule python_install_hook
{
    meta:
        description = "A Python package fetches or decodes code and runs it while it is being installed."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1195/001/"
    strings:
        $setup = /\b(from\s+(setuptools|distutils)\S{0,40}\s+import|import\s+setuptools)/
        $hook = /\bcmdclass\s*=/
        $class = /class\s+\w{1,60}\s*\(\s*(\w+\.)?(install|develop|egg_info|build_py|_install)\s*\)/
        $run = /\b(exec\s*\(|os\.system\s*\(|os\.popen\s*\(|subprocess\.(Popen|run|call)\s*\(|os\.startfile\s*\()/
        $source = /\b(b64decode\s*\(|marshal\.loads\s*\(|Fernet\s*\(|discord(app)?\.com\/api\/webhooks\/|api\.telegram\.org\/bot|pastebin\.com\/raw\/|transfer\.sh\/|powershell[^\n]{0,80}(-enc|hidden))/ nocase
        $send = /\b(requests\.(get|post)|urlopen|urlretrieve)\s*\([^\n]{0,200}(gethostname|getuser|environ|getcwd|platform\.node|\.oast|oastify|burpcollaborator|pipedream|webhook\.site|interact\.sh|ngrok)/ nocase
    condition:
        // a file by itself: in a tar archive each string may come from another member
        $setup and $hook and $class and (($run and $source) or $send) and filesize < 1MB
}

rule script_steals_chat_tokens
{
    meta:
        description = "A script looks for the stored tokens of chat programs and browsers and sends them to a web hook."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1539/"
    strings:
        $hook = /discord(app)?\.com\/api\/webhooks\/\d{5}|api\.telegram\.org\/bot|discord(app)?\.com\/api\/v\d{1,2}\/users\/@me/ nocase
        $store = /Local Storage[\\\/]{1,4}leveldb/ nocase
        $place = /\b(ROAMING|APPDATA|LOCALAPPDATA)\b/
    condition:
        all of them and filesize < 2MB
}

rule node_install_script_fetches_code
{
    meta:
        description = "An npm package fetches and runs code while it is being installed."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1195/001/"
    strings:
        $pipe = /"(pre|post)?install"\s*:\s*"[^"\n]{0,200}\b(curl|wget)\b[^"\n|]{4,200}\|\s*(sudo\s+)?((ba|z)?sh|node)\b/
        $powershell = /"(pre|post)?install"\s*:\s*"[^"\n]{0,200}\bpowershell\b[^"\n]{0,200}(-enc|downloadstring|\biex\b|hidden)/ nocase
        $send = /"(pre|post)?install"\s*:\s*"[^"\n]{0,200}(\.oast\.|oastify\.com|burpcollaborator\.net|pipedream\.net|webhook\.site|interact\.sh)/
    condition:
        any of them
}

rule node_sends_environment_away
{
    meta:
        description = "JavaScript for Node collects facts of the machine and sends them to a catch-all address."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1195/001/"
    strings:
        $facts = /\bos\s*\.\s*(hostname|userInfo|homedir)\s*\(|process\s*\.\s*env\b|\/etc\/passwd/
        $send = /\b(https?\s*\.\s*(request|get)|fetch|axios|dns\s*\.\s*(lookup|resolve)|exec(Sync)?)\s*[.(]/
        $address = /["'`.\/]([\w-]{1,40}\.){0,3}(oastify\.com|burpcollaborator\.net|oast\.(fun|pro|live|site|online|me)|m\.pipedream\.net|webhook\.site|interact\.sh|requestbin\.net)/
        $script = /\brequire\s*\(\s*["'](node:)?(os|https?|dns|child_process)["']\s*\)|\bfrom\s+["'](node:)?(os|https?|dns|child_process)["']/
    condition:
        all of them and filesize < 200KB
}

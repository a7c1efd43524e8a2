/*
  Reverse shells and droppers of Unix systems.
*/

rule shell_over_network
{
    meta:
        description = "A command gives a shell to another machine: a reverse shell."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1059/004/"
    strings:
        $bash = /\b(ba|z|k)?sh\s{1,3}-i\s{0,3}(>&|&>|<&|0?<|>)\s{0,3}\/dev\/(tcp|udp)\/[\w.$\{\}-]{3,60}\/[\w$\{\}]{1,20}/
        $bash_descriptor = /exec\s{1,3}\d{1,3}<>\s{0,3}\/dev\/tcp\/[\w.$\{\}-]{3,60}\/[\w$\{\}]{1,20}\s{0,3}[;&\n][^\n]{0,80}(\bsh\b|\bbash\b|while\s+read)/
        $netcat = /(^|[\n;&|`("'])\s{0,4}(\/bin\/|\/usr\/bin\/)?(nc|ncat|netcat)(\.traditional)?\s[^\n;|]{0,80}-(e|c)\s{1,3}["']?(\/bin\/)?(ba|z|da)?sh\b/
        $fifo = /\bmkfifo\s{1,3}(\/tmp\/\S{1,20}|\S{1,20})[^\n]{0,80}\|\s{0,3}(\/bin\/)?(ba)?sh\s{1,3}-i\s[^\n]{0,40}\|\s{0,3}(nc|ncat|netcat|telnet|openssl)\b/
    condition:
        any of them
}

rule python_reverse_shell
{
    meta:
        description = "Python connects out and hands the connection to a shell: a reverse shell."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1059/006/"
    strings:
        $connect = /\.connect\s*\(\s*\(/
        $input = /\bdup2\s*\(\s*\w{1,20}\.fileno\s*\(\s*\)\s*,\s*0\s*\)/
        $output = /\bdup2\s*\(\s*\w{1,20}\.fileno\s*\(\s*\)\s*,\s*1\s*\)/
        $shell = /["'](\/bin\/)?(ba|z)?sh["']/
    condition:
        all of them
}

rule perl_reverse_shell
{
    meta:
        description = "Perl connects out and hands the connection to a shell: a reverse shell."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1059/"
    strings:
        $socket = /\b(use\s+(IO::)?Socket|IO::Socket::INET)/
        $input = /open\s*\(?\s*STDIN\s*,\s*["'][<>+]{1,2}&\s?\w{1,12}["']/
        $output = /open\s*\(?\s*STDOUT\s*,\s*["']>&\s?\w{1,12}["']/
        $shell = /\b(exec|system)\s*\(?\s*\{?\s*["']\/bin\/(ba)?sh\b/
    condition:
        all of them
}

rule php_reverse_shell
{
    meta:
        description = "PHP connects out and hands the connection to a shell: a reverse shell."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1059/"
    strings:
        $connect = /\b(fsockopen|stream_socket_client|socket_connect)\s*\(/ nocase
        $run = /\b(proc_open|popen|exec|shell_exec|system|passthru)\s*\(/ nocase
        $shell = /\/bin\/(ba)?sh\s{1,3}-i\b/
    condition:
        all of them
}

rule shell_dropper
{
    meta:
        description = "A shell script fetches a program from a bare address, makes it executable and starts it."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1105/"
    strings:
        $dropper = /\b(wget|curl|tftp)\b[^\n;|]{0,120}\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}[^\n;|&]{0,120}(;|&&|\n)\s*(cat\s[^\n;]{0,80};\s*)?chmod\s+(0?777|[ugoa]*\+r?w?x)[^\n;&]{0,100}(;|&&|\n)\s*(sudo\s+|nohup\s+)?(\.\/|\/tmp\/|\/var\/tmp\/|sh\s|bash\s)/
        $pipe = /\b(wget|curl)\b[^\n;|]{0,120}https?:\/\/\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}[^\n;|]{0,120}\|\s{0,3}(sudo\s+)?(ba|z|da)?sh\b/
        $local = /https?:\/\/(127\.|10\.|192\.168\.|169\.254\.)/
    condition:
        any of ($dropper, $pipe) and not $local
}

/*
  Web shells: code in a web page's language that runs what the visitor sends.
*/

rule php_request_to_code
{
    meta:
        description = "PHP runs code or a command taken straight from the request: a web shell."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
    strings:
        $tag = "<?"
        $eval = /\b(eval|assert|create_function)\s{0,9}\(\s{0,9}(@|['"]{2}\s*,\s*|"\?>"\s*\.\s*)?\s*((base64_decode|gzinflate|gzuncompress|str_rot13|stripslashes|urldecode|rawurldecode|trim|hex2bin|strrev)\s*\(\s*@?\s*){0,4}["']?\{?\$_(GET|POST|REQUEST|COOKIE|FILES)\b/ nocase
        $command = /\b(system|exec|shell_exec|passthru|popen|proc_open|pcntl_exec)\s{0,9}\(\s{0,9}@?\s*((base64_decode|stripslashes|urldecode|trim|hex2bin|strrev)\s*\(\s*@?\s*){0,4}["']?\{?\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
        $variable_function = /\$_(GET|POST|REQUEST|COOKIE)\s{0,3}[\[{][^\]}\n]{1,40}[\]}]\s{0,3}\(\s*@?\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
        $backtick = /(echo|print|=|\()\s{0,5}`[^`\r\n]{0,60}\$_(GET|POST|REQUEST|COOKIE)\s{0,3}[\[{][^`\]}\n]{1,40}[\]}][^`\n]{0,40}`/ nocase
        $callback = /\b(array_map|array_filter|array_walk|call_user_func|call_user_func_array|usort|uasort|register_shutdown_function)\s{0,5}\(\s*["'](assert|eval|system|exec|shell_exec|passthru)["']\s*,\s*(\(array\)|array\s*\()?\s*@?\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
        $chosen_callback = /\b(call_user_func|call_user_func_array|array_map|array_filter)\s{0,5}\(\s*@?\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
        $preg = /\bpreg_replace\s{0,5}\(\s*["']\/[^"'\n]{0,40}\/[imsxu]{0,4}e[imsxu]{0,4}["']\s*,\s*(@?\$_(GET|POST|REQUEST|COOKIE)|["'](@?eval|\\x65|assert|base64_decode))/ nocase
    condition:
        $tag and any of ($eval, $command, $variable_function, $backtick, $callback, $chosen_callback, $preg)
}

rule php_request_written_to_file
{
    meta:
        description = "PHP writes a file whose name and content both come from the request: a web shell's uploader."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
    strings:
        $tag = "<?"
        $put = /\bfile_put_contents\s{0,5}\(\s*@?\$_(GET|POST|REQUEST|COOKIE)[^;\n]{1,120}\$_(GET|POST|REQUEST|COOKIE)/ nocase
        $write = /\bfwrite\s{0,5}\(\s*fopen\s*\(\s*@?\$_(GET|POST|REQUEST|COOKIE)[^;\n]{1,120}\$_(GET|POST|REQUEST|COOKIE)/ nocase
    condition:
        $tag and any of ($put, $write)
}

rule php_unpacks_and_runs_itself
{
    meta:
        description = "PHP runs code that it first decodes and decompresses: how web shells hide."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1027/"
    strings:
        $tag = "<?"
        $chain = /\b(eval|assert)\s{0,9}\(\s{0,9}(['"]\s?\?>['"]\s*\.\s*)?(gzinflate|gzuncompress|gzdecode|str_rot13|strrev|convert_uudecode|rawurldecode|base64_decode)\s*\(\s*(gzinflate|gzuncompress|gzdecode|str_rot13|strrev|convert_uudecode|rawurldecode|base64_decode)\s*\(/ nocase
        $encoded_names = /\$\{?["']\\x47\\x4c\\x4f\\x42\\x41\\x4c\\x53["']\}?/ nocase
        $encoded_eval = /["']\\x65\\x76\\x61\\x6c\\x28/ nocase
    condition:
        $tag and any of ($chain, $encoded_names, $encoded_eval)
}

rule php_runs_decoded_text
{
    meta:
        description = "PHP runs code that it first decodes from Base64."
        severity = "medium"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1027/"
    strings:
        $tag = "<?"
        $eval = /\b(eval|assert)\s{0,9}\(\s{0,9}(['"]\s?\?>['"]\s*\.\s*)?base64_decode\s*\(\s*["'$]/ nocase
    condition:
        $tag and $eval
}

rule php_shell_panel
{
    meta:
        description = "A PHP page tries one way of running commands after the other on what the visitor sends: a web shell's panel."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
    strings:
        $tag = "<?"
        $input = /\$_(GET|POST|REQUEST|COOKIE)\s{0,3}[\[{]/ nocase
        $try1 = /(function_exists|is_callable|is_enabled|isenabled)\s*\(\s*['"]passthru['"]/ nocase
        $try2 = /(function_exists|is_callable|is_enabled|isenabled)\s*\(\s*['"]shell_exec['"]/ nocase
        $try3 = /(function_exists|is_callable|is_enabled|isenabled)\s*\(\s*['"]system['"]/ nocase
        $try4 = /(function_exists|is_callable|is_enabled|isenabled)\s*\(\s*['"]popen['"]/ nocase
        $name = /\b(c99shell|r57shell|b374k|FilesMan|WSO_VERSION|IndoXploit|weevely|AnonymousFox)\b/ nocase
        $run = /\b(shell_exec|passthru|proc_open|popen)\s*\(/ nocase
    condition:
        $tag and $input and (3 of ($try*) or ($name and #run >= 2)) and filesize < 2MB
}

rule asp_request_to_code
{
    meta:
        description = "An ASP page runs code taken straight from the request: a web shell."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
    strings:
        $tag = "<%" ascii wide
        $script = /<script[^>]{0,80}runat\s*=\s*["']?server/ nocase ascii wide
        $eval = /(^|[^.\w$])(eval|execute|executeglobal)\s{0,5}\(?\s{0,5}(\(\s*)?(unescape\s*\(\s*)?request\s{0,3}(\.\s*(form|querystring|item|cookies|params|servervariables)\s{0,3})?[\(\[]/ nocase ascii wide
        $unsafe = /\beval\s{0,5}\([^;\n]{0,120}request[^;\n]{0,80},\s*["']unsafe["']/ nocase ascii wide
        $run = /\.(run|exec)\s{0,3}\(?[^\n]{0,60}cmd(\.exe)?\s+\/c[^\n]{0,40}request\s{0,3}[\.\(]/ nocase ascii wide
    condition:
        ($tag or $script) and any of ($eval, $unsafe, $run)
}

rule aspx_request_to_process
{
    meta:
        description = "An ASP.NET page starts a command interpreter with what the visitor sends: a web shell."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
    strings:
        $page = /<%@\s{0,9}(Page|WebHandler|WebService|import)\b/ nocase ascii wide
        $start = /\b(ProcessStartInfo|Process\.Start)\b/ ascii wide
        $interpreter = /["'](%ComSpec%|[^"'\n]{0,40}(cmd|powershell)\.exe|cmd)["']/ nocase ascii wide
        $redirect = "RedirectStandardOutput" ascii wide
        $input = /\bRequest\s{0,3}(\.\s*(Form|QueryString|Item|Params|Headers|Cookies)\s{0,3})?[\[\(]|\b\w{2,30}\.Text\b/ nocase ascii wide
    condition:
        $page and $start and $interpreter and $redirect and $input and filesize < 1MB
}

rule aspx_request_to_assembly
{
    meta:
        description = "An ASP.NET page decrypts the request and loads it as a program: a web shell that keeps its code with the attacker."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
    strings:
        $page = "<%" ascii wide
        $load = /\bAssembly\s*\.\s*Load\s*\(|\bAssembly[^\n]{0,60}GetMethod\s*\(\s*"Load"/ ascii wide
        $decrypt = /\b(RijndaelManaged|CreateDecryptor|AesManaged|TransformFinalBlock)\b/ ascii wide
        $input = /\bRequest\s*(\.\s*(BinaryRead|InputStream|Form|Params|Headers)\b|\[)/ nocase ascii wide
    condition:
        all of them and filesize < 1MB
}

rule jsp_request_to_command
{
    meta:
        description = "A JSP page runs a command taken from the request: a web shell."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
    strings:
        $tag = /<%|<jsp:/ ascii wide
        $direct = /\.exec\s{0,5}\(\s{0,5}(new\s+String\s*\(\s*)?request\s*\.\s*get(Parameter|Header)\s*\(/ ascii wide
        $run = /\b(Runtime\s*\.\s*getRuntime\s*\(\s*\)\s*\.\s*exec|new\s+ProcessBuilder)\s*\(/ ascii wide
        $input = /\brequest\s*\.\s*get(Parameter|Header)\s*\(/ ascii wide
        $output = /\bgetInputStream\s*\(/ ascii wide
    condition:
        $tag and ($direct or ($run and $input and $output)) and filesize < 300KB
}

rule jsp_request_to_class
{
    meta:
        description = "A JSP page decodes the request and loads it as a class: a web shell that keeps its code with the attacker."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
    strings:
        $tag = /<%|<jsp:/ ascii wide
        $define = /\bdefineClass\b/ ascii wide
        $input = /\brequest\s*\.\s*(getParameter|getReader|getInputStream|getHeader)\s*\(/ ascii wide
        $decode = /\b(BASE64Decoder|Base64|AES|SecretKeySpec)\b/ ascii wide
    condition:
        all of them and filesize < 300KB
}

/*
  Data that makes the program which loads it run something.
*/

rule yaml_builds_object_that_runs_code
{
    meta:
        description = "YAML tells its loader to call a function or build an object that runs code or starts programs."
        severity = "high"
        author = "Fumehood"
        reference = "https://cwe.mitre.org/data/definitions/502.html"
    strings:
        $python = /(!|tag:yaml\.org,2002:)python\/object\/(apply|new):(os|posix|nt|pty|subprocess|commands|builtins|__builtin__|runpy|importlib|code|ctypes|timeit)\.\w/
        $python_renamed = /(^|\n)%TAG[ \t]{1,9}![\w-]{0,40}!?[ \t]{1,9}tag:yaml\.org,2002:\w/
        $ruby = /!ruby\/(object|hash|struct):(Gem::(Installer|SpecFetcher|RequestSet|StubSpecification|Package::TarReader)|Net::(WriteAdapter|BufferedIO)|ERB)\b/
        $java = /!!(javax\.script\.ScriptEngineManager|java\.net\.URLClassLoader|com\.sun\.rowset\.JdbcRowSetImpl|org\.springframework\.beans\.factory\.config\.PropertyPathFactoryBean)\b/
    condition:
        any of them
}

rule translation_carries_code
{
    meta:
        description = "The plural forms of a translation are code, which some readers run instead of counting with them."
        severity = "high"
        author = "Fumehood"
        reference = "https://nvd.nist.gov/vuln/detail/CVE-2016-6175"
    strings:
        $code = /Plural-Forms:[ \t]{0,9}nplurals[ \t]{0,9}=[^\n;]{1,40};[ \t]{0,9}plural[ \t]{0,9}=[^\n\x00;"\\]{0,300}(\w\w[ \t]{0,9}\(|[`'$\[{])/
    condition:
        $code
}

rule manual_page_runs_program
{
    meta:
        description = "A manual page asks its formatter to run a program, to write a file or to hand code to a printer or browser."
        severity = "medium"
        author = "Fumehood"
        reference = "https://www.gnu.org/software/groff/manual/html_node/Safer-Mode.html"
    strings:
        $title = /(^|\n)[.'][ \t]*(TH|Dd)[ \t]+[^ \t{]/
        $request = /(^|[\n{"])[ \t]*[.'][ \t]*(do[ \t]+)?(sy|pi|pso|opena?)([ \t]|\\)/
        $request_later = /[.'][ \t]*(if|ie|el|while|nop|ds|as)[ \t][^\n]{0,200}[.'](sy|pi|pso|opena?)([ \t]|\\)/
        $renamed = /[.'][ \t]*(als|rn)[ \t][^\n]{0,60}\b(sy|pi|pso|opena?)\b/
        $picture = /\n\.[ \t]*(PS|G1)\b/
        $picture_runs = /\n[ \t]*sh[ \t]*[^\w\s]/
        $device = /(\\X[^\n]{1,3}|x[ \t]+X\w{0,9}[ \t]+|\.[ \t]*device[ \t]+)(ps|html|pdf):/
    condition:
        (uint8(0) == 0x2e or uint8(0) == 0x27 or uint8(0) <= 0x20) and $title
        and (any of ($request*) or $renamed or $device or ($picture and $picture_runs))
}

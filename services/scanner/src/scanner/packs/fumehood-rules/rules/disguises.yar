/*
    Code that does not look like code: in characters that nobody sees, in a handful of them, or turned around.
*/

rule invisible_characters_carry_data
{
    meta:
        description = "A text carries data in characters that are not shown, the way invisible code is hidden in sources."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1027/"
    strings:
        // variation selectors, tags, joiners of no width and fillers of Hangul, far more than any writing has in a row
        $selectors = /(\xF3\xA0[\x84-\x87][\x80-\xBF]|\xEF\xB8[\x80-\x8F]){16}/
        $tags = /(\xF3\xA0[\x80\x81][\x80-\xBF]){24}/
        $joiners = /(\xE2\x80[\x8B-\x8D]|\xE2\x81[\xA0-\xA4]|\xEF\xBB\xBF){40}/
        $fillers = /(\xE3\x85\xA4|\xEF\xBE\xA0){24}/
    condition:
        filesize < 20MB and any of them
}

rule script_in_few_characters
{
    meta:
        description = "A script is written in a handful of signs (as by JSFuck, JJEncode or AAEncode), so that it cannot be read."
        severity = "medium"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1027/010/"
    strings:
        // the words false, true and undefined, of which letters are taken
        $false = "(![]+[])"
        $true = "(!![]+[])"
        $undefined = "([][[]]+[])"
        $dollars = /\$=~\[\];\$=\{___:\+\+\$,/
        $dollars_named = /\b(\w{1,20})=~\[\];\w{1,20}=\{___:\+\+\w{1,20},\$\$\$\$:/
        // the face with which AAEncode begins
        $faces = { EF BE 9F CF 89 EF BE 9F EF BE 89 3D 20 2F EF BD 80 EF BD 8D C2 B4 EF BC 89 EF BE 89 }
    condition:
        filesize < 20MB and (#false + #true + #undefined > 20 or any of ($dollars, $dollars_named, $faces))
}

rule php_without_letters
{
    meta:
        description = "PHP builds the names of what it calls without writing a letter: a web shell that hides from searches."
        severity = "high"
        author = "Fumehood"
        reference = "https://attack.mitre.org/techniques/T1505/003/"
    strings:
        $php = /<\?(php|=)/ nocase
        $called = /\$\{\s*\$_+\s*\}\s*\[\s*['"]?_{0,9}['"]?\s*\]\s*\(/
        $called_by_name = /[;{}\s]@?\$_{2,20}\s*\(\s*\$_{1,20}\s*\[\s*['"]?_{1,20}['"]?\s*\]/
    condition:
        filesize < 5MB and $php and any of ($called, $called_by_name)
}

rule source_reads_otherwise
{
    meta:
        description = "Characters that turn the direction of writing make a line of source read as something else than it is."
        severity = "medium"
        author = "Fumehood"
        reference = "https://nvd.nist.gov/vuln/detail/CVE-2021-42574"
    strings:
        $turned = /\xE2\x80[\xAD\xAE][^\n]{0,200}\xE2\x81[\xA6-\xA9]/
        $code = /[;{}]\s*\n|:\s*(\xE2\x81[\xA6-\xA9]\s*)?(#[^\n]*)?\n[ \t]/
    condition:
        filesize < 5MB and all of them
}

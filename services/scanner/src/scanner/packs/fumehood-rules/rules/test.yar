rule t { strings: $a = "zzzz_never" condition: $a }

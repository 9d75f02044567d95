# Prints "file:line: function of N lines" for every C++ function longer than `limit` lines.
#
# No parser: braces are counted outside of comments, strings and characters. A brace opens a function
# if what stands between it and the statement before has a parameter list and no word that makes it
# something else. Lambdas are part of the function around them.

function reset() {
  depth = 0; head = ""; raw_end = ""; in_comment = 0; function_depth = 0
}

# The line without comments and literals. Raw strings and block comments may span lines.
function bare(line,    out, at, rest, quote) {
  out = ""
  while (line != "") {
    if (raw_end != "") {
      at = index(line, raw_end)
      if (at == 0) return out
      line = substr(line, at + length(raw_end)); raw_end = ""
    } else if (in_comment) {
      at = index(line, "*/")
      if (at == 0) return out
      line = substr(line, at + 2); in_comment = 0
    } else if (match(line, /^R"[^(]*\(/)) {
      raw_end = ")" substr(line, 3, RLENGTH - 3) "\""
      line = substr(line, RLENGTH + 1)
    } else if (substr(line, 1, 2) == "//") {
      return out
    } else if (substr(line, 1, 2) == "/*") {
      in_comment = 1; line = substr(line, 3)
    } else if (match(line, /^[0-9][0-9a-zA-Z.']*/)) {  # before characters: 1'000
      out = out "0"; line = substr(line, RLENGTH + 1)
    } else if (match(line, /^"([^"\\]|\\.)*"/) || match(line, /^'([^'\\]|\\.)*'/)) {
      line = substr(line, RLENGTH + 1)
    } else {
      out = out substr(line, 1, 1); line = substr(line, 2)
    }
  }
  return out
}

function opens_function(text) {
  sub(/^[ \t]+/, "", text)
  return text ~ /\(/ && text !~ /^(if|else|for|while|switch|do|try|catch|namespace|class|struct|enum|union|extern)[ ({]/
}

FNR == 1 { reset() }
/^[ \t]*#/ { next }
{
  text = bare($0)
  for (i = 1; i <= length(text); ++i) {
    c = substr(text, i, 1)
    if (c == "{") {
      ++depth
      if (function_depth == 0 && opens_function(head)) { function_depth = depth; start = head_line }
      outer = head; head = ""
    } else if (c == "}") {
      if (depth == function_depth) {
        if (FNR - start + 1 > limit) printf "%s:%d: function of %d lines\n", FILENAME, start, FNR - start + 1
        function_depth = 0
      }
      --depth
      head = outer; outer = ""  # of `a_{1}` in front of a constructor's body: still its head
    } else if (c == ";") {
      head = ""; outer = ""
    } else {
      if (head ~ /^[ \t]*$/ && c !~ /[ \t]/) { head = ""; head_line = FNR }
      head = head c
    }
  }
  if (text ~ /}[ \t]*$/) head = ""
  head = head " "
}

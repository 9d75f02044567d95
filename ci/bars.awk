# Draws what loader_bench or peers_loader printed as an SVG: samples per second, each beside one contestant on the
# same clips. -v baseline=bare_loop -v meaning="the bare loop": its name, and what the line is called.
# Rows end in items_per_second, e.g. "loader_1_worker/0.25s_median 39.7 ms 0.35 ms 9 12.9k/s".
$NF ~ /\/s$/ {
  split($1, name, "/")
  sub(/(_median)?$/, "", name[2])
  speed = $NF + 0
  if ($NF ~ /k\/s$/) speed *= 1000
  if (name[1] == baseline) line[name[2]] = speed
  rows++
  contestant[rows] = name[1]
  clip[rows] = name[2]
  persecond[rows] = speed
}
END {
  left = 290; unit = 300; height = 22; top = 34
  total = top + rows * height + 10
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"920\" height=\"%d\" font-family=\"sans-serif\" font-size=\"13\">\n", total
  print "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
  print "<text x=\"12\" y=\"20\" fill=\"#222222\">Samples per second; the line is " meaning "</text>"
  for (row = 1; row <= rows; row++) {
    y = top + (row - 1) * height
    share = persecond[row] / line[clip[row]]
    colour = contestant[row] == "bare_loop" ? "#777777" : contestant[row] ~ /^pytorch/ ? "#b5592a" : "#3b6ea5"
    label = contestant[row]
    gsub(/_/, " ", label)
    printf "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"#222222\">%s, %s clips</text>\n", left - 8, y + 15, label, clip[row]
    printf "<rect x=\"%d\" y=\"%d\" width=\"%.0f\" height=\"%d\" fill=\"%s\"/>\n", left, y + 3, share * unit, height - 6, colour
    is_wide = share * unit > 130
    printf "<text x=\"%.0f\" y=\"%d\" fill=\"%s\">%.0f/s (%.2f)</text>\n", left + 8 + (is_wide ? 0 : share * unit), y + 15, is_wide ? "#ffffff" : "#222222", persecond[row], share
  }
  printf "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#222222\" stroke-dasharray=\"3 3\"/>\n", left + unit, top, left + unit, total - 10
  print "</svg>"
}

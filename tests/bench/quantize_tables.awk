# The lines of quantize_bench as the tables of docs/performance-quantize.md, in Markdown: five for each
# target. A floor is what the ratio must reach.

# A value of the line, without its quotes; "" for null.
function field(name,    rest) {
  rest = substr($0, index($0, "\"" name "\":") + length(name) + 3)
  if (name == "case") {
    rest = substr(rest, 2)
    sub(/".*/, "", rest)
  } else {
    sub(/[,}].*/, "", rest)
  }
  return rest == "null" ? "" : rest
}

function number(value, digits) { return value == "" ? "" : sprintf("%." digits "f", value) }

function inverse(value) { return value > 0 ? 1 / value : "" }

# Three columns: ours, peer and ratio.
function rates(key, digits) {
  return " " number(ours[key], digits) " | " number(peer[key], 1) " | " \
    number(ratio[key], digits == 0 ? 1 : 2) " |"
}

function floor_of(what, wide,    format) {
  if (what ~ /^Q[2-6]_K importance$/) return wide ? 8 : 7
  if (what ~ /^Q[45]_[01] importance$/) return ""
  format = what
  sub(/ .*/, "", format)
  if (format ~ /^Q[245]_K$/) return wide ? 9 : 8
  if (format ~ /^Q[36]_K$/) return wide ? 6 : 5
  if (format ~ /^IQ4_/) return wide ? 35 : 20
  if (format ~ /^IQ[123]_/) return wide ? 6 : 4
  if (format ~ /^(Q8_0|TQ1_0|TQ2_0|MXFP4)$/) return wide ? 4 : 3
  if (format ~ /^Q[45]_[01]$/) return wide ? 2 : 1.5
  return ""
}

function heading(columns,    rule) {
  rule = columns
  gsub(/[^|]+/, "---", rule)
  print "\n|" columns "|\n|" rule "|"
}

# Takes `ending` off what a case says; "" where it ends otherwise.
function before(what, ending,    at) {
  at = length(what) - length(ending)
  return at > 0 && substr(what, at + 1) == ending ? substr(what, 1, at) : ""
}

function encode_table(target,    i, one) {
  heading(" encode, " target " | floor | Mw/s | peer | ratio | 2 threads, Mw/s | peer | ratio ")
  for (i = 1; i <= cases; ++i) {
    if (order[i] !~ /^[A-Z0-9_]+( importance)?$/) continue
    one = order[i] SUBSEP target SUBSEP 1
    if (!(one in ours)) continue
    print "| " order[i] " | " floor_of(order[i], target != "AVX2") " |" rates(one, 0) \
      rates(order[i] SUBSEP target SUBSEP 2, 0)
  }
}

function decode_table(target,    i, threads, format, large, line) {
  heading(" decode, " target " | 8 MB: Mw/s | peer | ratio | 256 MB: GB/s | of copy | of fill " \
    "| 2 threads, GB/s | of copy | of fill ")
  for (i = 1; i <= cases; ++i) {
    format = before(order[i], " decode")
    if (format == "") continue
    line = "| " format " |" rates(order[i] SUBSEP target SUBSEP 1, 0)
    for (threads = 1; threads <= 2; ++threads) {
      large = SUBSEP target SUBSEP threads
      line = line " " number(ours[order[i] " 256 MB vs copy" large], 1) " | " \
        number(ratio[order[i] " 256 MB vs copy" large], 2) " | " \
        number(ratio[order[i] " 256 MB vs fill" large], 2) " |"
    }
    print line
  }
}

function copy_table(target,    i, format) {
  heading(" share of copy bandwidth, " target " | GB/s | copy | share | 2 threads, GB/s | copy | share ")
  for (i = 1; i <= cases; ++i) {
    format = before(order[i], " share of copy bandwidth")
    if (format == "") continue
    print "| " format " |" rates(order[i] SUBSEP target SUBSEP 1, 1) \
      rates(order[i] SUBSEP target SUBSEP 2, 1)
  }
}

# Of the identical encoder.
function best_table(target,    i, what, key, least, slowest, error) {
  heading(" best, " target " | Gaussian: squared error | time | least gain: squared error | on " \
    "| slowest: time | on ")
  for (i = 1; i <= cases; ++i) {
    what = before(order[i], " best vs identical")
    if (what == "" || what ~ / squared error$/) continue
    key = order[i] SUBSEP target SUBSEP 1
    error = what " squared error best vs identical" SUBSEP target SUBSEP 1
    least = what " squared error best vs identical, least gain" SUBSEP target SUBSEP 1
    slowest = order[i] ", slowest" SUBSEP target SUBSEP 1
    print "| " what " | " number(ratio[error], 3) " | " number(inverse(ratio[key]), 2) " | " \
      number(ratio[least], 3) " | " where[least] " | " number(inverse(ratio[slowest]), 2) " | " \
      where[slowest] " |"
  }
}

function sums_table(target,    i, what, key) {
  heading(" error sums, " target " | added, ns a weight | share of the encoder | with sums, Mw/s ")
  for (i = 1; i <= cases; ++i) {
    what = before(order[i], " error sums vs none")
    key = order[i] SUBSEP target SUBSEP 1
    if (what == "" || !(key in ours)) continue
    print "| " what " | " number(1000 / ours[key] - 1000 / peer[key], 3) " | " \
      number(100 * (peer[key] / ours[key] - 1), 0) " % | " number(ours[key], 0) " |"
  }
}

# "Q4_K importance, AVX3, 1 thread": what is measured, target, threads. A distribution's name, after
# " on: ", is a value.
/"bench":"quantize"/ {
  name = field("case")
  parts = split(name, part, ", ")
  target = part[parts - 1]
  what = before(name, ", " target ", " part[parts])
  on = ""
  if (match(what, / on: .*/)) {
    on = substr(what, RSTART + 5)
    what = substr(what, 1, RSTART - 1)
  }
  key = what SUBSEP target SUBSEP part[parts] + 0
  ours[key] = field("ours")
  peer[key] = field("peer")
  ratio[key] = field("ratio")
  where[key] = on
  if (!(target in known)) targets[++target_count] = target
  known[target] = 1
  if (!(what in seen)) order[++cases] = what
  seen[what] = 1
}

END {
  for (t = 1; t <= target_count; ++t) {
    encode_table(targets[t])
    decode_table(targets[t])
    copy_table(targets[t])
    best_table(targets[t])
    sums_table(targets[t])
  }
}

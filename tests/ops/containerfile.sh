#!/usr/bin/env bash
# The Containerfile, as far as it can be tried without an engine: what it names exists, and what it
# starts is taken by the program, which lets nobody in before there is a token.
#   tests/ops/containerfile.sh HOLDFAST HUB-IMPOSTER-SERVER
set -uo pipefail
holdfast=$1
tree=$(dirname "$(readlink -f "$0")")/../..
# shellcheck source=tests/ops/program.sh
source "$(dirname "$0")/program.sh"

# Comments out, continued lines in one.
lines=$(sed -E '/^#/d' "$tree/ops/package/Containerfile" | sed -E ':a; /\\$/ { N; s/\\\n */ /; ba }')
# of INSTRUCTION: the arguments of each.
of() { sed -nE "s/^$1 +//p" <<<"$lines"; }
# words INSTRUCTION: those of its exec form, one a line.
words() { of "$1" | grep -E '^\["[^"\\]*"(, "[^"\\]*")*\]$' | sed -E 's/^\["//; s/"\]$//; s/", "/\n/g'; }

known='FROM|COPY|WORKDIR|RUN|ENV|USER|VOLUME|EXPOSE|ENTRYPOINT|CMD'
echo "$lines" >"$work/lines"
expect "only instructions that engines know" 1 '^$' grep -vE "^($known) +[^ ]|^$" "$work/lines"
expect "the first one names an image" 0 '^FROM [a-z]' head -n 1 "$work/lines"

copied() {
  local arguments source count=0
  while read -r -a arguments; do
    ((++count))
    if [[ ${arguments[0]} == --from=* ]]; then
      of FROM | grep -qE " AS ${arguments[0]#--from=}\$" || { echo "no stage ${arguments[0]}" && return 1; }
      continue
    fi
    for source in "${arguments[@]:0:${#arguments[@]}-1}"; do
      [[ -e $tree/$source ]] || { echo "no $source" && return 1; }
    done
  done < <(of COPY)
  ((count)) || { echo "no COPY" && return 1; }
}
expect "what is copied is there" 0 '' copied
expect "a build on the host is not copied" 0 '' grep -qx 'build' "$tree/.dockerignore"

# found NAME WORD…: fails where a check would be of no words at all.
found() { (($# > 1)) || { echo "no $1 is run" && return 1; }; }

built() {
  local word programs sets presets options
  mapfile -t programs < <(of RUN | grep -oE '\bops/[a-z]+')
  mapfile -t sets < <(of RUN | sed -nE 's/.*ops\/install ([a-z]+).*/\1/p')
  mapfile -t presets < <(of RUN | sed -nE 's/.*--preset ([a-z]+).*/\1/p')
  mapfile -t options < <(of RUN | grep -oE '\-D[A-Z_]+=' | sed -E 's/-D(.*)=/\1/')
  found program "${programs[@]}" && found set "${sets[@]}" && found preset "${presets[@]}" \
    && found option "${options[@]}" || return 1
  for word in "${programs[@]}"; do
    [[ -x $tree/$word ]] || { echo "no $word" && return 1; }
  done
  for word in "${sets[@]}"; do
    grep -qE "^$word=\"" "$tree/ops/install" || { echo "no set $word" && return 1; }
  done
  for word in "${presets[@]}"; do
    grep -q "\"name\": \"$word\", \"inherits\"" "$tree/CMakePresets.json" || { echo "no preset $word" && return 1; }
  done
  for word in "${options[@]}"; do
    grep -q "option($word " "$tree/CMakeLists.txt" || { echo "no option $word" && return 1; }
  done
}
expect "what is run to build is there" 0 '' built

config=$(of ENV | sed -nE 's/^HOLDFAST_CONFIG=//p')
expect "the package brings the configuration" 0 '' \
  grep -q "ops/package/$(basename "$config") DESTINATION $(dirname "$config")\$" "$tree/cmake/package.cmake"
expect "and the user" 0 '' grep -qE "^ *adduser .* $(of USER)\$" "$tree/ops/package/postinst"
expect "the volume is the configured store" 0 "^path = \"$(of VOLUME)\"\$" \
  cat "$tree/ops/package/$(basename "$config")"
mapfile -t entry < <(words ENTRYPOINT)
mapfile -t arguments < <(words CMD)
expect "it starts the program that the package brings" 0 '^/usr/bin/holdfast$' echo "${entry[@]}"
expect "the port that it offers" 0 ":$(of EXPOSE)( |\$)" echo "${arguments[@]}"
expect "nobody is let in without being asked" 1 '' grep -qE 'insecure|anonymous' <(echo "${arguments[@]}")

# As in the image, but for the store's place and the port.
sed "s|$(of VOLUME)|$work/data|" "$tree/ops/package/$(basename "$config")" >"$work/holdfast.toml"
export HOLDFAST_CONFIG=$work/holdfast.toml
arguments=("${arguments[@]/%:$(of EXPOSE)/:0}")
expect "without a token it does not start, and says what to do" 2 'holdfast token create' \
  timeout 60 "$holdfast" "${entry[@]:1}" "${arguments[@]}"
token=$("$holdfast" token create first --scope admin)
launch "$holdfast" "${entry[@]:1}" "${arguments[@]}"
url=${url/0.0.0.0/127.0.0.1}
code() { curl -sS -o /dev/null -w '%{http_code}' "$@"; }
expect "with one it answers" 0 '^200$' code "$url/-/readyz"
expect "and strangers read nothing" 0 '^401$' code "$url/api/models"
expect "who has the token does" 0 '^200$' code -H "Authorization: Bearer $token" "$url/api/models"
((failures == 0)) || exit 1

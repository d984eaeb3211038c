#!/usr/bin/env bash
# Who gets in, tried on the real program: access.sh HOLDFAST
set -uo pipefail
holdfast=$1
# shellcheck source=tests/ops/program.sh
source "$(dirname "$0")/program.sh"

data=$work/data
file=/example/tiny/resolve/main/config.json
"$holdfast" sample "$work/tiny" >/dev/null
"$holdfast" sync example/tiny --from "$work/tiny" --data "$data" >/dev/null 2>&1

# status PATH [CURL-OPTION…]: what the server answers.
status() {
  local path=$1
  shift
  curl -sS -o /dev/null -w '%{http_code}' "$@" "$url$path"
}
as() { printf 'Authorization: Bearer %s' "$1"; }

admin=$("$holdfast" token create first --scope admin --data "$work/fresh")
expect "the first token works on a fresh store, and is printed alone" 0 '^hf_[A-Za-z0-9]{40}$' echo "$admin"
expect "a taken name is refused" 2 'exists already' "$holdfast" token create first --data "$work/fresh"
expect "the list does not show it" 1 '' grep -q "$admin" <("$holdfast" token list --data "$work/fresh")
expect "no file holds it" 1 '' grep -qr "$admin" "$work/fresh"

cat >"$work/closed.toml" <<TOML
[access]
anonymous_read = false
audit_log = "$work/audit.log"
audit = "reads"
TOML
start "$data" --config "$work/closed.toml"
expect "without a token nothing is read" 0 '401' status "$file"
token=$("$holdfast" token create ci --data "$data")
expect "a token made while the server runs works at once" 0 '200' status "$file" -H "$(as "$token")"
expect "as the password of any user too" 0 '200' status "$file" -u "whoever:$token"
expect "its use is seen" 0 'ci +[0-9a-f]{12} +- +read .*20[0-9][0-9]-' "$holdfast" token list --data "$data"
expect "a user with rights" 0 'example/\*=write' \
  "$holdfast" user set ann --grant 'example/*=write' --data "$data"
expect "a right that is none" 2 'expected read, write or admin' \
  "$holdfast" user set ann --grant 'example/*=all' --data "$data"
ann=$("$holdfast" token create laptop --user ann --expires 30 --data "$data")
expect "a user's token says whose it is" 0 '"name":"ann"' curl -fsS -H "$(as "$ann")" "$url/api/whoami-v2"
eve=$("$holdfast" token create outside --repo 'other/*' --data "$data")
expect "a token's patterns hold" 0 '404' status "$file" -H "$(as "$eve")"
expect "a repository becomes private" 0 'private +true' "$holdfast" access example/tiny --private --data "$data"
expect "those with a right see it" 0 '200' status "$file" -H "$(as "$ann")"
expect "a gate" 0 'gate +manual' "$holdfast" access example/tiny --public --gate manual --data "$data"
expect "a stranger is let in by name" 2 'no user nobody' "$holdfast" access example/tiny --accept nobody --data "$data"
expect "files are behind the gate" 0 '403' status "$file" -H "$(as "$token")"
expect "who asks waits" 0 '"pending"' curl -fsS -X POST -H "$(as "$token")" "$url/example/tiny/ask-access"
expect "the operator decides" 0 'token:ci +accepted' \
  "$holdfast" access example/tiny --accept token:ci --data "$data"
expect "and the files are there" 0 '200' status "$file" -H "$(as "$token")"
expect "git comes in with a token" 0 'HEAD' \
  git -c credential.helper= ls-remote "http://x:$ann@${url#http://}/example/tiny"
expect "and not without" 128 '' \
  env GIT_TERMINAL_PROMPT=0 git -c credential.helper= ls-remote "$url/example/tiny"

expect "the trail tells who read" 0 '"action":"file.read","outcome":"ok","status":200,"who":"ann"' cat "$work/audit.log"
expect "and what was changed" 0 '"action":"token.create".*"who":"operator".*"subject":"token ci' cat "$work/audit.log"
expect "but no secret" 1 '' grep -qE "$token|$ann|$eve" "$work/audit.log"
mv "$work/audit.log" "$work/audit.1"
kill -HUP "$server"
trail_is_new() { status "$file" -H "$(as "$ann")" >/dev/null && grep -q file.read "$work/audit.log"; }
expect "SIGHUP opens the trail anew" 0 '' wait_until trail_is_new
expect "and the server goes on" 0 'ok' curl -fsS "$url/-/healthz"
"$holdfast" token revoke ci --data "$data"
expect "a revoked token is no token" 0 '401' status "$file" -H "$(as "$token")"
"$holdfast" user remove ann --data "$data"
expect "nor is that of a user who left" 0 '401' status "$file" -H "$(as "$ann")"
stop

"$holdfast" token create again --data "$data" >/dev/null
launch "$holdfast" serve --data "$data" --listen 0.0.0.0:0 --config "$work/closed.toml"
expect "with a token others may be let in" 0 '^http://0\.0\.0\.0:' echo "$url"
stop

# Tokens of an identity provider, and a quota. key NAME: a new RSA key, and the document with it.
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
key() {
  openssl genrsa -out "$work/$1.pem" 2048 2>/dev/null
  local modulus
  modulus=$(openssl rsa -in "$work/$1.pem" -noout -modulus | cut -d= -f2)
  printf '{"keys":[{"kty":"RSA","kid":"%s","e":"AQAB","n":"%s"}]}' "$1" \
    "$(perl -e 'print pack("H*", $ARGV[0])' "$modulus" | base64url)" >"$work/keys.json"
}
# signed NAME USER: a token by that key, good for ten minutes.
signed() {
  local content
  content=$(printf '{"alg":"RS256","kid":"%s"}' "$1" | base64url).$(
    printf '{"iss":"https://id.example.org","aud":"holdfast","sub":"%s","exp":%d}' "$2" \
      $(($(date +%s) + 600)) | base64url)
  printf '%s.%s' "$content" "$(printf %s "$content" | openssl dgst -sha256 -sign "$work/$1.pem" | base64url)"
}
key one
cat >"$work/oidc.toml" <<TOML
[access]
anonymous_read = false
audit_log = "$work/oidc.log"
[[access.quota]]
owner = "jo*"
bytes = "10kB"
repositories = 1
[[access.oidc]]
issuer = "https://id.example.org"
audience = "holdfast"
jwks_file = "$work/keys.json"
TOML
start "$data" --config "$work/oidc.toml"
jo=$(signed one jo)
expect "a provider's token is its bearer" 0 '"name":"jo"' curl -fsS -H "$(as "$jo")" "$url/api/whoami-v2"
make() { curl -sS -H "$(as "$jo")" -d "{\"name\":\"$1\"}" "$url/api/repos/create"; }
expect "who writes in his own namespace" 0 '"id":"jo/m"' make m
expect "as far as the quota goes" 0 'Repository quota of ."jo." reached: 1 of 1' make n
expect "which he can see" 0 '"repositories_max":1' curl -fsS -H "$(as "$jo")" "$url/-/api/v1/quotas/jo"
expect "and the operator" 0 'repositories +1 of 1' "$holdfast" quota jo --data "$data"
batch='{"operation":"upload","objects":[{"oid":"'$(printf '%064d' 0)'","size":20000}]}'
expect "an upload above it is refused beforehand" 0 '"code":507' \
  curl -fsS -H "$(as "$jo")" -d "$batch" "$url/jo/m.git/info/lfs/objects/batch"
expect "the trail names the provider" 0 '"issuer":"https://id.example.org","issuer_subject":"jo"' cat "$work/oidc.log"
expect "a forged token is none" 0 '401' status /api/whoami-v2 -H "$(as "${jo%??????}AAAAAA")"
key two
new=$(signed two jo)
expect "a new key is not known yet" 0 '401' status /api/whoami-v2 -H "$(as "$new")"
kill -HUP "$server"
key_is_known() { [[ $(status /api/whoami-v2 -H "$(as "$new")") == 200 ]]; }
expect "but soon" 0 '' wait_until key_is_known
expect "and the old one no longer" 0 '401' status /api/whoami-v2 -H "$(as "$jo")"
stop
sed -i 's,^jwks_file.*,jwks_url = "https://id.example.org/keys",; 1i offline = true' "$work/oidc.toml"
expect "without connections there is no URL" 2 'offline = true needs a jwks_file' \
  "$holdfast" serve --data "$data" --listen 127.0.0.1:0 --config "$work/oidc.toml"

# certificate NAME: makes NAME the certificate of the server.
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/CN=$1" \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$work/tls.key" -out "$work/tls.pem" 2>/dev/null
}
certificate first
printf '[web]\ntls_certificate = "%s"\ntls_key = "%s"\n' "$work/tls.pem" "$work/tls.key" >"$work/tls.toml"
start "$data" --config "$work/tls.toml"
expect "with a certificate it speaks TLS" 0 '^https://127\.0\.0\.1:' echo "$url"
secure() { curl -fsS --cacert "$work/tls.pem" "$url/-/healthz"; }
expect "which clients can check" 0 'ok' secure
certificate second
expect "a new certificate is not in use yet" 60 '' secure
kill -HUP "$server"
expect "but after SIGHUP" 0 '' wait_until secure
expect "verbs do not need it" 0 'example/tiny' "$holdfast" list --data "$data"
stop

[[ $failures == 0 ]]

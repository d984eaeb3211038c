#!/usr/bin/env bash
# The Debian package: installed, started as its unit starts it, upgraded, removed and purged by the
# real dpkg, in a copy-on-write copy of this machine that goes away afterwards.
#   tests/ops/package.sh BUILD-DIRECTORY
set -euo pipefail
build=$1
here=$(dirname "$(readlink -f "$0")")
skip() {
  echo "SKIPPED: $*"
  exit 0
}
die() {
  echo "$*" >&2
  exit 1
}
[[ $(id -u) == 0 ]] || skip "needs root to make a copy of this machine's file system"
for tool in cpack dpkg-shlibdeps unshare systemd-analyze perl curl; do
  command -v "$tool" >/dev/null || skip "no $tool"
done
if [[ -z ${HOLDFAST_PACKAGE_WORK:-} ]]; then
  HOLDFAST_PACKAGE_WORK=$(mktemp -d)
  export HOLDFAST_PACKAGE_WORK
  trap 'rm -rf "$HOLDFAST_PACKAGE_WORK"' EXIT
  unshare --mount true 2>/dev/null || skip "no mount namespaces here"
  unshare --mount --propagation private "$0" "$@"
  exit
fi

work=$HOLDFAST_PACKAGE_WORK
root=$work/root
mkdir -p "$work/layers" "$root"
mount -t tmpfs none "$work/layers" || skip "no tmpfs here"
mkdir "$work/layers/upper" "$work/layers/work"
mount -t overlay none -o "lowerdir=/,upperdir=$work/layers/upper,workdir=$work/layers/work" "$root" 2>/dev/null ||
  skip "no overlay file system here"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
in_root() { chroot "$root" env -u HOLDFAST_DATA -u HOLDFAST_CONFIG PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

pack() {
  cpack --config "$build/CPackConfig.cmake" -G DEB -B "$work/layers/package" -R "$1" >"$work/cpack.log" 2>&1 || {
    cat "$work/cpack.log" >&2
    die "cpack failed"
  }
  cp "$work/layers/package/holdfast_$1_$(dpkg --print-architecture).deb" "$root/tmp/"
}

version=$("$build/ops/holdfast" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)
next=${version%.*}.$((${version##*.} + 1))
pack "$version"
pack "$next"
package=$root/tmp/holdfast_${version}_$(dpkg --print-architecture).deb
files=$(dpkg-deb -c "$package")
for file in ./usr/bin/holdfast ./etc/holdfast/holdfast.toml ./lib/systemd/system/holdfast.service ./usr/share/doc/holdfast/cli.md; do
  grep -q " $file\$" <<<"$files" || die "the package lacks $file"
done
grep -E '/(build|tests|local)/' <<<"$files" && die "the package has what is not to install"
[[ $(dpkg-deb -f "$package" Depends) == *librocksdb* ]] || die "the package does not say what it needs"

# Installed: a user, a directory of its own, a configuration that holds.
in_root dpkg -i "/tmp/$(basename "$package")" >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; die "dpkg -i failed"; }
in_root id holdfast >/dev/null || die "no user holdfast"
[[ $(in_root stat -c '%U %a' /var/lib/holdfast) == "holdfast 750" ]] || die "/var/lib/holdfast is not the user's own"
in_root holdfast config check --config /etc/holdfast/holdfast.toml >/dev/null || die "the configuration does not hold"
chroot "$root" systemd-analyze verify /lib/systemd/system/holdfast.service 2>&1 | grep holdfast && die "the unit has mistakes"
exposure=$(systemd-analyze security --offline=true --root="$root" holdfast.service --no-pager 2>/dev/null |
  sed -nE 's/.*Overall exposure level for holdfast.service: ([0-9]+)\.([0-9]).*/\1\2/p')
[[ -n $exposure && $exposure -le 20 ]] || die "the unit is not hardened enough: ${exposure:-unknown} tenths"

# Started as the unit does, it says when it is ready and that it stops.
sed -i 's/127.0.0.1:8080/127.0.0.1:0/' "$root/etc/holdfast/holdfast.toml"
listen='use IO::Socket::UNIX; use Socket;
  my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "/run/holdfast-notify") or die $!;
  chmod 0777, "/run/holdfast-notify"; $| = 1; print "listening\n";
  while (1) { $s->recv(my $m, 4096); print "$m\n"; last if $m =~ /STOPPING/ }'
mkfifo "$work/told"
in_root perl -e "$listen" >"$work/told" &
exec 3<"$work/told"
read -rt 20 told <&3 && [[ $told == listening ]] || die "no notify socket"
chroot "$root" env -u HOLDFAST_DATA NOTIFY_SOCKET=/run/holdfast-notify setpriv --reuid=holdfast --regid=holdfast --clear-groups \
  holdfast serve --config /etc/holdfast/holdfast.toml >"$work/url" 2>"$work/log" &
server=$!
read -rt 60 told <&3 && [[ $told == READY=1 ]] || { cat "$work/log" >&2; die "not ready: ${told:-nothing}"; }
url=$(<"$work/url")
[[ $(curl -s -o /dev/null -w '%{http_code}' "$url/-/healthz") == 200 ]] || die "$url does not answer"
kill -TERM "$server"
read -rt 60 told <&3 && [[ $told == STOPPING=1 ]] || die "did not say that it stops: ${told:-nothing}"
wait "$server" || die "stopped with an error"

# Upgraded in place: what an administrator wrote and what was stored stay.
in_root dpkg -i "/tmp/holdfast_${next}_$(dpkg --print-architecture).deb" >"$work/dpkg.log" 2>&1 </dev/null || {
  cat "$work/dpkg.log" >&2
  die "the upgrade failed"
}
[[ $(in_root dpkg-query -W -f '${Version}' holdfast) == "$next" ]] || die "not upgraded"
grep -q '127.0.0.1:0' "$root/etc/holdfast/holdfast.toml" || die "the upgrade changed the configuration"
in_root setpriv --reuid=holdfast --regid=holdfast --clear-groups holdfast list --data /var/lib/holdfast >/dev/null ||
  die "the store does not open after the upgrade"

in_root dpkg --purge holdfast >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; die "purge failed"; }
[[ ! -e $root/usr/bin/holdfast && ! -e $root/etc/holdfast/holdfast.toml ]] || die "purge left files"
[[ -e $root/var/lib/holdfast/FORMAT ]] || die "purge took the models"
echo "installed, started, upgraded and purged holdfast $version, $next"

#!/usr/bin/env bash
# Power cuts on a real ext4: a disk in user space logs every block write and flush below a loop device,
# work is done on it with its acknowledgements kept elsewhere, then for many cut points the disk is
# rebuilt as a power cut would have left it, mounted, and compared with what was acknowledged.
#   rig.sh BIN_DIR CUTS store            work on the store itself
#   rig.sh BIN_DIR CUTS sync HOLDFAST    `HOLDFAST sync --from DIR`, one repository after the other
set -euo pipefail

bin=$1
cuts=$2
kind=$3
holdfast=${HOLDFAST_BIN:-${4:-}}

skip() {
  echo "SKIPPED: power cuts need $1"
  exit 0
}
[[ $(id -u) == 0 ]] || skip "root"
[[ -c /dev/fuse ]] || skip "/dev/fuse"
[[ -e /dev/loop-control ]] || skip "loop devices"
for tool in fusermount3 losetup mkfs.ext4; do
  command -v "$tool" >/dev/null || skip "$tool"
done
[[ $kind == store || -x $holdfast ]] || skip "the holdfast program (HOLDFAST_BIN)"

work=$(mktemp -d)
mkdir "$work/fuse" "$work/disk"
acks=$work/acks
loop=
disk_pid=

release() {
  mountpoint -q "$work/disk" && umount "$work/disk"
  [[ -n $loop ]] && losetup -d "$loop"
  loop=
  mountpoint -q "$work/fuse" && fusermount3 -u "$work/fuse"
  [[ -n $disk_pid ]] && wait "$disk_pid"
  disk_pid=
  return 0
}
trap 'release; rm -rf "$work"' EXIT

wait_for() {
  for _ in $(seq 200); do
    [[ -e $1 ]] && return 0
    sleep 0.05
  done
  skip "FUSE mounts ($1 did not appear)"
}

# One small model folder a round, each a repository of its own.
sync_rounds() {
  local round name
  for round in 1 2 3 4; do
    mkdir "$work/model-$round"
    echo "{\"model_type\": \"none\", \"round\": $round}" >"$work/model-$round/config.json"
    echo "# Round $round" >"$work/model-$round/README.md"
    head -c $((400000 * round)) /dev/urandom >"$work/model-$round/weights.bin"
    "$holdfast" sync "example/round-$round" --from "$work/model-$round" --data "$work/disk/data" \
      >"$work/sync.log" 2>&1 || { cat "$work/sync.log"; exit 1; }
    for name in config.json README.md weights.bin; do
      echo "object $(sha256sum "$work/model-$round/$name" | cut -d' ' -f1)" >>"$acks"
    done
    echo "repository example/round-$round" >>"$acks"
  done
}

truncate -s 256M "$work/base.img"
mkfs.ext4 -q -F "$work/base.img"
cp --sparse=always "$work/base.img" "$work/current.img"
: >"$acks"
"$bin/powercut_disk" "$work/fuse" "$work/current.img" "$work/log" "$acks" &
disk_pid=$!
wait_for "$work/fuse/disk"
loop=$(losetup -f --show "$work/fuse/disk") || skip "a loop device over FUSE"
mount -t ext4 "$loop" "$work/disk"
case $kind in
  store) "$bin/powercut_workload" run "$work/disk/data" "$acks" 3 ;;
  sync) sync_rounds ;;
esac
release

total=$("$bin/powercut_replay" "$work/log" count)
echo "$kind: $total block operations, $(wc -l <"$acks") acknowledgements, $cuts cuts"
bad=0
for i in $(seq "$cuts"); do
  cut=$((total * i / (cuts + 1)))
  cp --sparse=always "$work/base.img" "$work/cut.img"
  acked=$("$bin/powercut_replay" "$work/log" "$cut" "$i" "$work/cut.img")
  loop=$(losetup -f --show "$work/cut.img")
  if ! mount -t ext4 "$loop" "$work/disk"; then
    echo "cut $cut: the file system does not mount"
    bad=$((bad + 1))
  elif ! "$bin/powercut_workload" check "$work/disk/data" "$acks" "$acked"; then
    echo "cut $cut: not as acknowledged ($acked bytes of acknowledgements)"
    bad=$((bad + 1))
  fi
  release
done
echo "$kind: $bad of $cuts cuts went wrong"
[[ $bad == 0 ]]

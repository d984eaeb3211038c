#include "storage/internal/leases.h"

#include <algorithm>

#include "storage/base/error.h"
#include "storage/internal/keys.h"
#include "storage/internal/row.h"
#include "storage/limits.h"

namespace holdfast::storage {
namespace {

constexpr std::uint8_t kHasStaged = 1;
constexpr std::uint8_t kHasObject = 2;

std::uint64_t milliseconds_of(Time time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

void write_staged(RowWriter& row, const StagedFile& staged) {
  row.number(staged.id).number(staged.size_bytes).number(staged.hashed);
  row.raw(as_text(staged.hash)).number(staged.written.size());
  for (const ByteRange& range : staged.written) row.number(range.offset).number(range.length);
}

StagedFile read_staged(RowReader& row) {
  StagedFile staged{.id = row.number(), .size_bytes = row.number()};
  staged.hashed = row.number();
  std::ranges::copy(as_bytes(row.raw(staged.hash.size())), staged.hash.begin());
  for (std::uint64_t left = row.number(); left > 0; --left) {
    const std::uint64_t offset = row.number();
    staged.written.push_back({.offset = offset, .length = row.number()});
  }
  return staged;
}

std::string encode(const Lease& lease) {
  RowWriter row;
  row.time(lease.expires);
  row.byte(
      static_cast<std::uint8_t>((lease.staged ? kHasStaged : 0) | (lease.object ? kHasObject : 0)));
  if (lease.staged) write_staged(row, *lease.staged);
  if (lease.object) row.digest(*lease.object);
  return row.take();
}

Lease decode(std::string_view key, std::string_view bytes) {
  RowReader row(bytes, "lease row");
  Lease lease{.key = std::string(key), .expires = row.time()};
  const std::uint8_t flags = row.byte();
  if ((flags & kHasStaged) != 0) lease.staged = read_staged(row);
  if ((flags & kHasObject) != 0) lease.object = row.digest();
  return lease;
}

}  // namespace

std::optional<Lease> Leases::find(std::string_view key) const {
  const auto row = database_.get(Family::Lease, keys::lease(key));
  if (!row) return std::nullopt;
  return decode(key, *row);
}

std::vector<Lease> Leases::all() const {
  std::vector<Lease> leases;
  database_.scan(Family::Lease, keys::kLeases, [&](std::string_view key, std::string_view row) {
    leases.push_back(decode(key.substr(keys::kLeases.size()), row));
    return true;
  });
  return leases;
}

bool Leases::keep(std::string_view key_prefix, const Digest& object) const {
  const Time now = clock_.now();
  bool found = false;
  const auto visit = [&](std::string_view key, std::string_view row) {
    const Lease lease = decode(key, row);
    found = lease.object == object && lease.expires > now;
    return !found;
  };
  database_.scan(Family::Lease, keys::lease(key_prefix), visit);
  return found;
}

Leases::Watch::Watch(Leases& leases) : leases_(leases) { leases_.seen_.lock()->emplace(); }

Leases::Watch::~Watch() { leases_.seen_.lock()->reset(); }

bool Leases::Watch::saw(const Digest& object) const {
  auto seen = leases_.seen_.lock();
  return (*seen)->contains(object);
}

void Leases::put(Batch& batch, Lease lease) {
  if (lease.object) {
    if (auto seen = seen_.lock(); *seen) (*seen)->insert(*lease.object);
  }
  drop(batch, lease.key);
  lease.expires = clock_.now() + kLeasePeriod;
  batch.put(Family::Lease, keys::lease(lease.key), encode(lease));
  batch.put(Family::Lease, keys::lease_expiry(milliseconds_of(lease.expires), lease.key), "");
}

void Leases::drop(Batch& batch, std::string_view key) {
  const auto old = find(key);
  if (!old) return;
  batch.erase(Family::Lease, keys::lease(key));
  batch.erase(Family::Lease, keys::lease_expiry(milliseconds_of(old->expires), key));
}

void Leases::drop_expired(Batch& batch) {
  const std::uint64_t now = milliseconds_of(clock_.now());
  database_.scan(Family::Lease, keys::kLeaseExpiries, [&](std::string_view row, std::string_view) {
    std::string_view key = row.substr(keys::kLeaseExpiries.size());
    if (keys::parse_big_endian(key) > now) return false;
    key.remove_prefix(8);
    // Two threads that renew one lease at the same time leave an order row of the loser behind: the
    // lease's own row decides, and the order row goes either way.
    batch.erase(Family::Lease, row);
    const auto lease = find(key);
    if (lease && milliseconds_of(lease->expires) <= now)
      batch.erase(Family::Lease, keys::lease(key));
    return true;
  });
}

std::string put_lease_key(const Digest& digest) { return "put/" + to_hex(digest); }

}  // namespace holdfast::storage

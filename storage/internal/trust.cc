#include "storage/internal/trust.h"

#include "storage/base/error.h"
#include "storage/internal/row.h"

namespace holdfast::storage {
namespace {

constexpr std::string_view kDistrustKey = "distrust";

}  // namespace

std::optional<std::string> find_distrust(const Database& database) {
  const auto row = database.get(Family::Meta, kDistrustKey);
  if (!row) return std::nullopt;
  return std::string(RowReader(*row, "distrust row").text());
}

void distrust(Database& database, std::string_view why) noexcept {
  try {
    Batch batch(database);
    batch.put(Family::Meta, kDistrustKey, RowWriter().text(why).take());
    database.write(batch);
  } catch (const Error&) {
    // A catalog that takes no writes lets no gc through either.
    return;
  }
}

void trust_again(Database& database) {
  if (!find_distrust(database)) return;
  Batch batch(database);
  batch.erase(Family::Meta, kDistrustKey);
  database.write(batch);
}

}  // namespace holdfast::storage

// Which revisions a sync has to fetch again for the sake of what is broken.
#pragma once

#include "storage/base/json.h"
#include "storage/care.h"
#include "storage/catalog.h"
#include "storage/internal/database.h"

namespace holdfast::storage {

// As Care::plan_repair. Thread-safe; reads only.
Json::Object make_repair_plan(const Database& database, const Catalog& catalog,
                              const Care::Broken& broken);

}  // namespace holdfast::storage

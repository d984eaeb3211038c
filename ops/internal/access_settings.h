// The [access] table of holdfast.toml: who gets in. Pure.
#pragma once

#include "ops/internal/toml_values.h"
#include "web/guards.h"

namespace holdfast::ops {

// Error(Invalid) "PATH:LINE: access.KEY: problem".
void read_access(const Place& place, const toml::node& node, web::GuardOptions& guards);

// What read_access() reads.
toml::table access_table(const web::GuardOptions& guards);

}  // namespace holdfast::ops

// The part of a repository's page that is about its gate: whether the reader may have the files,
// and the form by which he asks for them. Thread-safe; throws what catalog and book throw.
#pragma once

#include "web/internal/handlers.h"
#include "web/internal/html.h"
#include "web/internal/repository_facts.h"

namespace holdfast::web {

// Nothing where there is no gate.
Html gate_html(const Call& call, const RepositoryFacts& facts);

}  // namespace holdfast::web

// The job that follows a new revision: reads the headers of its model files and its card, and
// writes what they say as catalog facts, so that web/ parses no model file.
#pragma once

#include "storage/base/digest.h"
#include "storage/base/json.h"
#include "storage/jobs.h"
#include "storage/repo_id.h"
#include "storage/store.h"

namespace holdfast::convert {

// Writes the facts of model_facts.h ("card", "config", "tokenizer", "hub", "file/<path>"). A broken
// model file is a fact, not an error. Returns {"repo", "commit", "files", "broken"}. Errors:
// NotFound, Cancelled, Io.
Json::Object scan_revision(const storage::RepoId& repo, const GitOid& commit, storage::Store& store,
                           storage::JobContext& context);

}  // namespace holdfast::convert

// The write side of a publication: what has to hold before, and the rows of the batch.
#pragma once

#include "storage/internal/local_catalog.h"

namespace holdfast::storage {

// What check_publication() sees is the catalog, not the batch: so one call takes each revision
// once. Throws Invalid, LimitExceeded.
void check_distinct(std::span<const Publication> publications);

// Throws Invalid for a malformed record, NotFound for an object that is not stored or a ref that
// points at no visible revision, and Conflict where expected refs have moved or what should be new
// is there. Where its refs can be is for check_places().
void check_publication(const CatalogParts& parts, const Publication& publication);

void add_publication(Batch& batch, const CatalogParts& parts, const Publication& publication);

// Remembers that the blob holds an object's bytes, unless the catalog holds those bytes itself: an
// alias lives no longer than its object.
void put_git_alias(Batch& batch, const CatalogParts& parts, const GitOid& blob,
                   const Digest& object);

// Refs may point at revisions that are visible, or at `arriving`, or go.
void check_refs(const CatalogParts& parts, const RepoId& repo, std::span<const Ref> refs,
                const GitOid* arriving);

// Conflict unless the refs are as they stand in `expected`.
void check_expected(const CatalogParts& parts, const RepoId& repo, std::span<const Ref> expected);

// Conflict where a ref that one call makes cannot be beside another (ref_places.h), be that there
// already or made by the same call. What the call removes is in nobody's way; a ref that is there
// may move wherever it is. `refs` are all that the call sets and removes of the repository.
void check_places(const CatalogParts& parts, const RepoId& repo, std::span<const Ref> refs);

// Points a ref that check_places() let through, or removes it when its commit is zeros.
void add_ref(Batch& batch, const CatalogParts& parts, const RepoId& repo, const Ref& ref);

// One line of the audit trail.
void add_audit(Batch& batch, const CatalogParts& parts, const Json::Object& event);

}  // namespace holdfast::storage

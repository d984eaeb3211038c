// What the route rows point at: one function per row, each "request in, response out".
#pragma once

#include "web/handler.h"
#include "web/routes.h"
#include "web/url.h"

namespace holdfast::web {

// A request on its way to its handler. Borrows; lives for one handle().
struct Call {
  const Request& request;
  const Services& services;
  const Match& match;
  Parameters query;
};

// Answers a call that failed with what is being caught; only inside a catch block.
Response failure_response(const Call& call);

// intake.cc
Response take_whole(const Call& call);
// hub_files.cc
Response resolve_file(const Call& call);
Response raw_file(const Call& call);
// What resolve_file() answered before to the same target; nothing when it has to look it up.
std::optional<Response> answer_hot_file(const Request& request, const Services& services);
// hub_info.cc
Response repository_info(const Call& call);
Response list_hub_repositories(const Call& call);
// hub_compare.cc
Response compare_revisions(const Call& call);
// hub_tree.cc
Response list_tree(const Call& call);
Response paths_info(const Call& call);
// hub_history.cc
Response list_refs(const Call& call);
Response list_commits(const Call& call);
Response agent_harnesses(const Call& call);
Response telemetry(const Call& call);
Response unknown_api(const Call& call);
// git_upload_pack.cc
Response git_refs(const Call& call);
Response git_upload_pack(const Call& call);
// git_receive_pack.cc
Response git_push_refs(const Call& call);
std::unique_ptr<Receiver> receive_git_push(const Call& call);
// git_lfs.cc
Response lfs_batch(const Call& call);
Response lfs_object(const Call& call);
// lfs_upload.cc
Response lfs_complete(const Call& call);
Response lfs_verify(const Call& call);
std::unique_ptr<Receiver> receive_lfs_object(const Call& call);
// hub_create.cc
Response create_repository(const Call& call);
Response delete_repository(const Call& call);
// hub_preupload.cc
Response preupload(const Call& call);
Response refuse_xet_write(const Call& call);
// hub_refs.cc
Response create_branch(const Call& call);
Response delete_branch(const Call& call);
Response create_tag(const Call& call);
Response delete_tag(const Call& call);
Response squash_branch(const Call& call);
// hub_settings.cc
Response change_settings(const Call& call);
Response move_repository(const Call& call);
Response list_lfs_files(const Call& call);
Response validate_yaml(const Call& call);
// hub_commit.cc
std::unique_ptr<Receiver> receive_commit(const Call& call);
// hub_xet.cc
Response xet_read_token(const Call& call);
Response xet_reconstruction_v1(const Call& call);
Response xet_reconstruction_v2(const Call& call);
Response xet_xorb(const Call& call);
// hub_small.cc
Response tree_size(const Call& call);
Response list_discussions(const Call& call);
Response list_model_tags(const Call& call);
Response list_dataset_tags(const Call& call);
Response empty_list(const Call& call);
Response no_space(const Call& call);
// oci_sign_in.cc
Response oci_root(const Call& call);
Response oci_token(const Call& call);
// oci.cc
Response oci_manifest(const Call& call);
Response oci_tags(const Call& call);
Response oci_blob(const Call& call);
Response unknown_oci(const Call& call);
// own_api.cc
Response health(const Call& call);
Response readiness(const Call& call);
Response metrics_text(const Call& call);
Response list_repositories(const Call& call);
Response show_repository(const Call& call);
Response show_evidence(const Call& call);
Response list_holes(const Call& call);
Response list_facts(const Call& call);
// own_jobs.cc
Response list_jobs(const Call& call);
Response enqueue_job(const Call& call);
Response show_job(const Call& call);
Response job_log(const Call& call);
Response cancel_job(const Call& call);
Response retry_job(const Call& call);
// hub_access.cc
Response who_am_i(const Call& call);
Response auth_check(const Call& call);
Response ask_access(const Call& call);
Response list_access_requests(const Call& call);
Response decide_access_request(const Call& call);
Response grant_access(const Call& call);
// own_access.cc
Response list_tokens(const Call& call);
Response create_token(const Call& call);
Response revoke_token(const Call& call);
Response list_users(const Call& call);
Response set_user(const Call& call);
Response remove_user(const Call& call);
Response show_rules(const Call& call);
Response set_rules(const Call& call);
// own_quota.cc
Response show_quota(const Call& call);
// own_mirrors.cc
Response list_mirrors(const Call& call);
Response mirrors_page(const Call& call);
Response receive_webhook(const Call& call);
// page_*.cc
Response catalog_page(const Call& call);
Response model_page(const Call& call);
Response tree_page(const Call& call);
Response blob_page(const Call& call);
Response jobs_page(const Call& call);
Response job_page(const Call& call);
Response cancel_job_by_form(const Call& call);
Response retry_job_by_form(const Call& call);
Response access_page(const Call& call);
Response ask_access_by_form(const Call& call);
Response decide_access_by_form(const Call& call);
Response sign_in_page(const Call& call);
Response sign_in(const Call& call);
Response sign_out(const Call& call);
Response tokens_page(const Call& call);
Response create_token_by_form(const Call& call);
Response revoke_token_by_form(const Call& call);
Response static_file(const Call& call);

}  // namespace holdfast::web

// The requests that Python's huggingface_hub makes for its writing calls, re-enacted one by one (the
// package itself cannot be installed here): create_repo, preupload, LFS batch, PUT, parts, verify,
// commit, branches, tags, squash, move, settings, and what it asks before an upload by Xet.
import assert from "node:assert/strict";
import { ask, bearer, hubUrl, must, ndjson, runChecks, sha256 } from "./replay.mjs";

const id = "me/python";
const json = { ...bearer, "content-type": "application/json" };
const lfs = { ...bearer, accept: "application/vnd.git-lfs+json", "content-type": "application/vnd.git-lfs+json" };

const sample = (bytes) => Buffer.from(bytes.subarray(0, 512)).toString("base64");
const header = (summary, more = {}) => ({ key: "header", value: { summary, description: "", ...more } });

async function preupload(files) {
  const body = { files: files.map(([path, bytes]) => ({ path, sample: sample(bytes), size: bytes.length })) };
  const answer = await must("POST", `/api/models/${id}/preupload/main`, body);
  for (const file of answer.body.files) assert.equal(typeof file.shouldIgnore, "boolean");
  return answer.body.files.map((file) => file.uploadMode);
}

async function lfsUpload(bytes) {
  const oid = sha256(bytes);
  const batch = await must(
    "POST",
    `/${id}.git/info/lfs/objects/batch`,
    { operation: "upload", transfers: ["basic", "multipart"], objects: [{ oid, size: bytes.length }], hash_algo: "sha256" },
    lfs,
  );
  const [entry] = batch.body.objects;
  assert.equal(entry.oid, oid);
  assert.equal(entry.size, bytes.length);
  assert.ok(!("error" in entry), JSON.stringify(entry.error));
  if (!entry.actions) return oid;
  const { upload, verify } = entry.actions;
  const chunk = Number(upload.header?.chunk_size ?? 0);
  if (chunk === 0) {
    await must("PUT", upload.href, bytes, {});
  } else {
    // "_get_sorted_parts_urls" and "_upload_parts_iteratively", then the completion without a token.
    const parts = Object.entries(upload.header)
      .filter(([key]) => /^[0-9]+$/.test(key))
      .sort(([a], [b]) => Number(a) - Number(b));
    assert.equal(parts.length, Math.ceil(bytes.length / chunk));
    const etags = [];
    // The first part twice, as after a broken connection.
    await must("PUT", parts[0][1], bytes.subarray(0, chunk), {});
    const early = await ask("POST", upload.href, { oid, parts: [] }, { "content-type": lfs["content-type"] });
    assert.equal(early.status, 400);
    for (const [index, [, url]] of parts.entries()) {
      const part = await must("PUT", url, bytes.subarray(index * chunk, (index + 1) * chunk), {});
      assert.ok(part.headers.get("etag"));
      etags.push({ partNumber: index + 1, etag: part.headers.get("etag") });
    }
    await must("POST", upload.href, { oid, parts: etags }, { accept: lfs.accept, "content-type": lfs["content-type"] });
  }
  await must("POST", verify.href, { oid, size: bytes.length });
  return oid;
}

const checks = {
  async "create_repo, also with exist_ok"() {
    const made = await must("POST", "/api/repos/create", { name: "python", organization: "me", visibility: "public" });
    assert.equal(made.body.url, `${hubUrl}/${id}`);
    const again = await ask("POST", "/api/repos/create", { name: "python", organization: "me", private: false });
    assert.equal(again.status, 409);
    assert.equal(again.body.url, `${hubUrl}/${id}`);
    assert.match(again.headers.get("x-error-message"), /already exists/);
  },
  async "upload_folder with HF_HUB_DISABLE_XET=1"() {
    const readme = Buffer.from("---\nlicense: mit\n---\n# Hi\n");
    const small = Buffer.alloc(5000, 7);
    const large = Buffer.alloc(65 * 1024 * 1024 + 5, "large");
    await must("POST", "/api/validate-yaml", { content: readme.toString(), repoType: "model" });
    const modes = await preupload([["README.md", readme], ["w/small.bin", small], ["large.gguf", large], ["none.bin", Buffer.alloc(0)]]);
    assert.deepEqual(modes, ["regular", "lfs", "lfs", "regular"]);
    const lines = [
      header("Upload folder using huggingface_hub"),
      { key: "file", value: { content: readme.toString("base64"), path: "README.md", encoding: "base64" } },
      { key: "lfsFile", value: { path: "w/small.bin", algo: "sha256", oid: await lfsUpload(small), size: small.length } },
      { key: "lfsFile", value: { path: "large.gguf", algo: "sha256", oid: await lfsUpload(large), size: large.length } },
    ];
    const made = await must("POST", `/api/models/${id}/commit/main`, ndjson(lines), {
      ...bearer,
      "content-type": "application/x-ndjson",
    });
    assert.match(made.body.commitOid, /^[0-9a-f]{40}$/);
    assert.ok(made.body.commitUrl.startsWith(`${hubUrl}/${id}/commit/`));
    const back = await fetch(`${hubUrl}/${id}/resolve/main/large.gguf`);
    assert.equal(sha256(Buffer.from(await back.arrayBuffer())), sha256(large));
    assert.equal(await lfsUpload(large), sha256(large)); // already there: no actions
  },
  async "create_commit refuses a stale parent with 412"() {
    const stale = await ask("POST", `/api/models/${id}/commit/main`, ndjson([header("x", { parentCommit: "0".repeat(40) })]), json);
    assert.equal(stale.status, 412);
  },
  async "an upload by Xet is told how to go another way"() {
    for (const revision of ["main", "None?create_pr=1"]) {
      const answer = await ask("GET", `/api/models/${id}/xet-write-token/${revision}`, undefined, bearer);
      assert.ok(answer.status >= 400);
      assert.match(answer.headers.get("x-error-message"), /HF_HUB_DISABLE_XET=1/);
      assert.match(answer.body.error, /HF_HUB_DISABLE_XET=1/);
    }
  },
  async "create_branch, create_tag, list_repo_refs and their ends"() {
    await must("POST", `/api/models/${id}/branch/dev%2Fone`, {});
    const again = await ask("POST", `/api/models/${id}/branch/dev%2Fone`, {});
    assert.equal(again.status, 409);
    assert.match(again.headers.get("x-error-message"), /Reference refs\/heads\/dev\/one already exists/);
    assert.equal((await ask("POST", `/api/models/${id}/branch/a..b`, {})).status, 400);
    await must("POST", `/api/models/${id}/tag/main`, { tag: "v1", message: "first" });
    assert.equal((await ask("POST", `/api/models/${id}/tag/main`, { tag: "v1" })).status, 409);
    assert.equal((await ask("POST", `/api/models/${id}/tag/none`, { tag: "v2" })).status, 404);
    const refs = (await must("GET", `/api/models/${id}/refs`)).body;
    assert.deepEqual(refs.branches.map((b) => b.name).sort(), ["dev/one", "main"]);
    assert.deepEqual(refs.tags.map((t) => t.name), ["v1"]);
    await must("DELETE", `/api/models/${id}/tag/v1`);
    await must("DELETE", `/api/models/${id}/branch/dev%2Fone`);
    const kept = await ask("DELETE", `/api/models/${id}/branch/main`);
    assert.ok(kept.status >= 400);
    assert.match(kept.headers.get("x-error-message"), /refs\/heads\/main/);
  },
  async "super_squash_history, list_lfs_files, move_repo, update_repo_settings, delete_repo"() {
    await must("POST", `/api/models/${id}/super-squash/main`, { message: "All in one" });
    const commits = (await must("GET", `/api/models/${id}/commits/main`)).body;
    assert.deepEqual(commits.map((c) => c.title), ["All in one"]);
    const files = (await must("GET", `/api/models/${id}/lfs-files`)).body;
    assert.deepEqual(files.map((f) => f.filename).sort(), ["large.gguf", "w/small.bin"]);
    await must("PUT", `/api/models/${id}/settings`, { visibility: "public" });
    assert.equal((await ask("PUT", `/api/models/${id}/settings`, { unheardOf: 1 })).status, 400);
    await must("POST", "/api/repos/move", { fromRepo: id, toRepo: "me/moved", type: "model" });
    const old = await fetch(`${hubUrl}/api/models/${id}`, { redirect: "manual" });
    assert.equal(old.status, 307);
    assert.equal(old.headers.get("location"), "/api/models/me/moved");
    const file = await ask("GET", `/${id}/resolve/main/README.md`);
    assert.equal(file.status, 307);
    await must("GET", file.headers.get("location"));
    await must("DELETE", "/api/repos/delete", { name: "moved", organization: "me", type: "model" });
    // Without the token, which nobody here knows.
    assert.equal((await ask("GET", "/api/models/me/moved", undefined, {})).status, 404);
  },
};

await runChecks(checks);

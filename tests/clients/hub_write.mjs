// npm @huggingface/hub, unchanged, writing to the server in HF_ENDPOINT; git looks at the result.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  commit,
  createBranch,
  createRepo,
  deleteBranch,
  deleteFile,
  deleteFiles,
  deleteRepo,
  downloadFile,
  fileExists,
  listCommits,
  listFiles,
  repoExists,
  uploadFile,
  uploadFiles,
} from "@huggingface/hub";

const hubUrl = process.env.HF_ENDPOINT;
const accessToken = "hf_notneededoverloopback0000000000000000";
const repo = { type: "model", name: "me/written" };
const options = { repo, hubUrl, accessToken };
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const pattern = (size) => Buffer.alloc(size, "0123456789abcdefghijklmnopqrstuvwxyz\0");
const text = async (path) => (await downloadFile({ ...options, path }))?.text();

async function collect(iterator) {
  const all = [];
  for await (const item of iterator) all.push(item);
  return all;
}

// A fresh clone has nothing to complain about; returns how many commits it has.
function clone(name, branch = "main") {
  const directory = join(process.env.WORK, name);
  const env = { ...process.env, HOME: process.env.WORK, GIT_LFS_SKIP_SMUDGE: "1", GIT_CONFIG_NOSYSTEM: "1" };
  const git = (...args) => execFileSync("git", args, { env, encoding: "utf8" });
  git("clone", "-q", "-b", branch, `${hubUrl}/${repo.name}`, directory);
  git("-C", directory, "fsck", "--full", "--strict");
  return Number(git("-C", directory, "rev-list", "--count", "HEAD"));
}

const checks = {
  async "creates a repository, once"() {
    const made = await createRepo({ ...options, license: "mit" });
    assert.equal(made.repoUrl, `${hubUrl}/${repo.name}`);
    assert.equal(await repoExists({ repo, hubUrl }), true);
    await assert.rejects(createRepo(options), (error) => error.statusCode === 409);
    assert.match(await text("README.md"), /license: "mit"/);
  },
  async "uploads text, and an LFS file in one piece"() {
    const weights = pattern(3_000_001);
    const made = await uploadFiles({
      ...options,
      files: [
        { path: "config.json", content: new Blob(['{"model_type":"llama"}']) },
        { path: "deep/er/naïve name.txt", content: new Blob(["hello\n"]) },
        { path: "empty.bin", content: new Blob([]) },
        { path: "model.safetensors", content: new Blob([weights]) },
        { path: "odd.xyz", content: new Blob([pattern(100)]) },
      ],
      commitTitle: "Upload all",
    });
    assert.match(made.commit.oid, /^[0-9a-f]{40}$/);
    assert.equal(await text("config.json"), '{"model_type":"llama"}');
    assert.equal(await text("deep/er/naïve name.txt"), "hello\n");
    const back = await downloadFile({ ...options, path: "model.safetensors" });
    assert.equal(sha256(Buffer.from(await back.arrayBuffer())), sha256(weights));
    const files = await collect(listFiles({ ...options, recursive: true }));
    const lfs = files.filter((f) => f.lfs).map((f) => f.path);
    assert.deepEqual(lfs.sort(), ["model.safetensors", "odd.xyz"]);
    assert.equal((await collect(listCommits(options)))[0].title, "Upload all");
  },
  async "uploads a large file in parts"() {
    const large = pattern(70_000_003);
    await uploadFile({ ...options, file: { path: "large.gguf", content: new Blob([large]) } });
    const back = await downloadFile({ ...options, path: "large.gguf" });
    assert.equal(sha256(Buffer.from(await back.arrayBuffer())), sha256(large));
  },
  async "deletes, replaces and refuses a stale parent"() {
    await deleteFile({ ...options, path: "config.json" });
    assert.equal(await fileExists({ ...options, path: "config.json" }), false);
    await deleteFiles({ ...options, paths: ["odd.xyz", "empty.bin"] });
    const before = (await collect(listCommits(options)))[0].oid;
    const edit = (content, parentCommit) =>
      commit({
        ...options,
        title: "Edit",
        parentCommit,
        operations: [{ operation: "addOrUpdate", path: "notes.md", content: new Blob([content]) }],
      });
    await edit("first", before);
    await assert.rejects(edit("second", before), (error) => error.statusCode === 412);
    assert.equal(await text("notes.md"), "first");
  },
  async "makes branches and commits to them"() {
    await createBranch({ ...options, branch: "try/this" });
    await assert.rejects(createBranch({ ...options, branch: "try/this" }), (error) => error.statusCode === 409);
    await uploadFile({ ...options, branch: "try/this", file: { path: "b.txt", content: new Blob(["b"]) } });
    assert.equal(await fileExists({ ...options, path: "b.txt" }), false);
    assert.equal(await fileExists({ ...options, path: "b.txt", revision: "try/this" }), true);
    assert.equal(clone("branch", "try/this"), 7);
    await deleteBranch({ ...options, branch: "try/this" });
  },
  async "leaves a repository that git takes without complaint"() {
    assert.equal(clone("main"), 6);
  },
  async "deletes a repository"() {
    await deleteRepo(options);
    assert.equal(await repoExists({ repo, hubUrl }), false);
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log(`ok: ${name}`);
}

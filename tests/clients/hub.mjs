// npm @huggingface/hub, unchanged, against the server in HF_ENDPOINT.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  datasetInfo,
  downloadFile,
  fileDownloadInfo,
  fileExists,
  listCommits,
  listDatasets,
  listFiles,
  listModels,
  modelInfo,
  pathsInfo,
  repoExists,
  snapshotDownload,
} from "@huggingface/hub";

const hubUrl = process.env.HF_ENDPOINT;
const repo = { type: "model", name: "org/tiny" };
const options = { repo, hubUrl };
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

async function collect(iterator) {
  const all = [];
  for await (const item of iterator) all.push(item);
  return all;
}

const checks = {
  async "lists models and datasets"() {
    const models = await collect(listModels({ hubUrl }));
    assert.deepEqual(models.map((m) => m.name).sort(), ["Example/CamelCase", "gpt2", "org/tiny"]);
    const found = await collect(listModels({ hubUrl, search: { query: "TINY", owner: "org" } }));
    assert.equal(found.length, 1);
    assert.equal(found[0].task, "text-generation");
    assert.equal((await collect(listDatasets({ hubUrl }))).length, 1);
  },
  async "reads repository info"() {
    const info = await modelInfo({ name: "org/tiny", hubUrl, additionalFields: ["sha", "cardData"] });
    assert.equal(info.name, "org/tiny");
    assert.match(info.sha, /^[0-9a-f]{40}$/);
    assert.equal(info.cardData.license, "mit");
    assert.equal((await datasetInfo({ name: "org/data", hubUrl })).name, "org/data");
    assert.equal(await repoExists(options), true);
    assert.equal(await repoExists({ repo: "org/none", hubUrl }), false);
    await assert.rejects(modelInfo({ name: "org/none", hubUrl }), (error) => error.statusCode === 404);
  },
  async "lists files, with directories and without"() {
    const top = await collect(listFiles(options));
    assert.ok(top.some((f) => f.type === "directory" && f.path === "onnx"));
    const all = await collect(listFiles({ ...options, recursive: true, expand: true }));
    assert.equal(all.filter((f) => f.type === "file").length, 9);
    assert.ok(all.every((f) => /^[0-9a-f]{40}$/.test(f.oid)));
    assert.ok(all.every((f) => f.lastCommit?.id));
    assert.equal((await collect(listFiles({ ...options, path: "onnx", recursive: true }))).length, 3);
  },
  async "reads paths and commits"() {
    const found = await pathsInfo({ ...options, paths: ["config.json", "none"], expand: true });
    assert.equal(found.length, 1);
    const commits = await collect(listCommits(options));
    assert.equal(commits[0].title, "Add files");
  },
  async "downloads a file, whole and in parts"() {
    const info = await fileDownloadInfo({ ...options, path: "model.safetensors" });
    assert.equal(info.size, 3000017);
    const blob = await downloadFile({ ...options, path: "model.safetensors" });
    const bytes = Buffer.from(await blob.arrayBuffer());
    assert.equal(`"${sha256(bytes)}"`, info.etag);
    const part = await blob.slice(1_000_000, 1_000_100).arrayBuffer();
    assert.deepEqual(Buffer.from(part), bytes.subarray(1_000_000, 1_000_100));
    const pointer = await downloadFile({ ...options, path: "model.safetensors", raw: true });
    assert.match(await pointer.text(), /^version https:\/\/git-lfs/);
    const name = 'sub dir/naïve "file".txt';
    assert.equal(await (await downloadFile({ ...options, path: name })).text(), "quoted\n");
  },
  async "knows an empty file from a missing one"() {
    const empty = await fileDownloadInfo({ ...options, path: "empty.txt" });
    assert.equal(empty.size, 0);
    assert.equal(await fileDownloadInfo({ ...options, path: "none" }), null);
    assert.equal(await fileExists({ ...options, path: "config.json" }), true);
    assert.equal(await fileExists({ ...options, path: "none" }), false);
    assert.equal(await downloadFile({ ...options, path: "none" }), null);
  },
  async "takes a snapshot of everything that is served"() {
    const cacheDir = join(process.env.WORK, "cache");
    const folder = await snapshotDownload({ ...options, cacheDir });
    const names = await readdir(folder, { recursive: true });
    assert.ok(names.includes("model.safetensors"));
    assert.ok(names.includes(join("onnx", "deep", "model.onnx")));
    assert.ok(!names.includes("pytorch_model.bin"));
    const weights = await readFile(join(folder, "model.safetensors"));
    assert.equal(weights.length, 3000017);
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log(`ok: ${name}`);
}

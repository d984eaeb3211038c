// The requests of `llama-cli -hf OWNER/NAME[:TAG]`, re-enacted with what llama.cpp makes of the answers, in
// both of its ways: as of 2026 (branches, the tree of the commit, files by commit in Hugging Face's cache)
// and as before (a manifest that names the file, then that file of "main" by its ETag).
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { appendFile, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { bytesOf, hubUrl, publish, runChecks, send, sha256 } from "./replay.mjs";

const endpoint = `${hubUrl}/`; // of MODEL_ENDPOINT or HF_ENDPOINT, with a slash behind it
const work = process.env.WORK;
const id = "me/llama-GGUF";
const files = {
  "README.md": "# Llama\n",
  "BF16/llama-BF16-00001-of-00003.gguf": bytesOf(5000, 1),
  "BF16/llama-BF16-00002-of-00003.gguf": bytesOf(6000, 2),
  "BF16/llama-BF16-00003-of-00003.gguf": bytesOf(7000, 3),
  "imatrix.gguf": bytesOf(100, 4),
  "llama-Q4_K_M.gguf": bytesOf(2_000_003, 5),
  "llama-Q8_0.gguf": bytesOf(90_000, 6),
  "mmproj-llama-BF16.gguf": bytesOf(3000, 7),
  "mmproj-llama-Q8_0.gguf": bytesOf(2000, 8),
};

// What was asked since the check began.
let asked = [];
async function client(userAgent, method, url, headers = {}, more = {}) {
  asked.push(`${method} ${new URL(url).pathname}`);
  return send(method, url, { accept: "*/*", "user-agent": userAgent, ...headers }, more);
}
const fileRequests = () => asked.filter((line) => line.includes("/resolve/"));

// common_download_file_single: HEAD, then GET from where an earlier try stopped. `breakAt`: the connection
// breaks after so many bytes. Returns the status; 304 means that no byte was asked for.
async function downloadFile(userAgent, url, path, { skipEtag = false, breakAt } = {}) {
  const held = existsSync(path);
  if (held && skipEtag) return 304;
  const head = await client(userAgent, "HEAD", url);
  if (head.status < 200 || head.status >= 300) return held ? 304 : head.status;
  const etag = head.headers.get("etag");
  assert.match(etag, /^"[0-9a-f]{40,64}"$/);
  const total = Number(head.headers.get("content-length"));
  if (held) {
    const last = existsSync(`${path}.etag`) ? await readFile(`${path}.etag`, "utf8") : "";
    if (last === etag) return 304;
    await rm(path);
  }
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.downloadInProgress`;
  assert.notEqual(head.headers.get("accept-ranges") ?? "none", "none"); // else it starts again each time
  const begun = existsSync(temporary) ? (await stat(temporary)).size : 0;
  const range = begun > 0 ? { range: `bytes=${begun}-` } : {};
  const answer = await client(userAgent, "GET", url, range, { stopAfter: breakAt });
  assert.equal(answer.status, begun > 0 ? 206 : 200);
  await appendFile(temporary, answer.body);
  if (breakAt !== undefined) return -1;
  assert.equal((await stat(temporary)).size, total);
  await rename(temporary, path);
  if (!skipEtag) await writeFile(`${path}.etag`, etag);
  return head.status;
}

const isModel = (path) => /\.gguf$/.test(path) && !/(mmproj|imatrix|mtp-|eagle3-|dflash-|dspark-)[^/]*$/.test(path);
const splitOf = (path) => {
  const [, prefix, index, count] = /^(.+)-([0-9]{5})-of-([0-9]{5})\.gguf$/i.exec(path) ?? [];
  return { prefix, index: Number(index ?? 1), count: Number(count ?? 1) };
};
const bitsOf = (path) => Number(/[-.][A-Z_]*([0-9]+)[A-Z0-9_]*\.gguf$/i.exec(path)?.[1] ?? 0);

const now = {
  userAgent: "llama-cpp/b9000-0123abcd",

  async api(path) {
    const answer = await client(now.userAgent, "GET", endpoint + path, { accept: "application/json" });
    const body = JSON.parse(answer.body);
    if (answer.status !== 200) throw new Error(`GET failed (${answer.status}): ${body.error}`);
    return body;
  },

  // get_repo_files: the first page of the tree is all there is.
  async list(repo) {
    const { branches } = await now.api(`api/models/${repo}/refs`);
    const valid = branches.filter(({ name, targetCommit }) => name && /^[0-9a-f]{40}$/.test(targetCommit));
    const { targetCommit: commit } = valid.find(({ name }) => name === "main") ?? valid[0];
    const tree = await now.api(`api/models/${repo}/tree/${commit}?recursive=true`);
    const folder = join(work, "cache", `models--${repo.replace("/", "--")}`);
    return tree
      .filter((entry) => entry.type === "file")
      .map(({ path, oid, lfs }) => ({ path, oid: lfs ? lfs.oid : oid }))
      .filter(({ oid }) => /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(oid))
      .map(({ path, oid }) => ({
        path,
        oid,
        url: `${endpoint}${repo}/resolve/${commit}/${path}`,
        local: join(folder, "blobs", oid),
      }));
  },

  // common_download_get_hf_plan
  plan(all, tag) {
    const preset = all.find(({ path }) => path === "preset.ini");
    if (preset) return [preset];
    const first = ({ path }) => isModel(path) && splitOf(path).index === 1;
    const named = (word) => all.find((file) => first(file) && new RegExp(`${word}[.-]`, "i").test(file.path));
    const model = tag ? named(tag) : (named("Q4_K_M") ?? named("Q8_0") ?? all.find(first));
    if (!model) throw new Error("no GGUF files found in repository");
    const { prefix, count } = splitOf(model.path);
    const isPart = (split) => split.prefix === prefix && split.count === count;
    const parts = count > 1 ? all.filter(({ path }) => isPart(splitOf(path))) : [model];
    const distance = ({ path }) => Math.abs(bitsOf(path) - bitsOf(parts[0].path.replace(/-\d{5}-of-\d{5}/, "")));
    const projectors = all.filter(({ path }) => /^[^/]*mmproj[^/]*\.gguf$/.test(path));
    projectors.sort((a, b) => distance(a) - distance(b));
    return [...parts, ...projectors.slice(0, 1)];
  },

  async fetch(reference, options = {}) {
    const [repo, tag] = reference.split(":");
    const wanted = now.plan(await now.list(repo), tag);
    const statuses = await Promise.all(
      wanted.map(({ url, local }) => downloadFile(now.userAgent, url, local, { skipEtag: true, ...options })),
    );
    return { wanted, statuses };
  },
};

const before = {
  userAgent: "llama-cpp",

  // common_get_hf_file, and the files that it names; of a split model the others by the first one's name.
  async fetch(reference) {
    const [repo, tag = "latest"] = reference.split(":");
    const url = `${endpoint}v2/${repo}/manifests/${tag}`;
    const answer = await client(before.userAgent, "GET", url, { accept: "application/json" });
    if (answer.status === 401) throw new Error("error: model is private or does not exist");
    if (answer.status !== 200) throw new Error(`error from HF API, response code: ${answer.status}`);
    const manifest = JSON.parse(answer.body);
    assert.ok(manifest.ggufFile, "error: model does not have ggufFile");
    const { prefix, count } = splitOf(manifest.ggufFile.rfilename);
    const number = (n) => String(n).padStart(5, "0");
    const others = Array.from({ length: count - 1 }, (_, i) => `${prefix}-${number(i + 2)}-of-${number(count)}.gguf`);
    const names = [manifest.ggufFile.rfilename, ...others];
    if (manifest.mmprojFile) names.push(manifest.mmprojFile.rfilename);
    const statuses = [];
    for (const name of names) {
      const local = join(work, "llama.cpp", `${repo}/${name}`.replaceAll("/", "_"));
      statuses.push(await downloadFile(before.userAgent, `${endpoint}${repo}/resolve/main/${name}`, local));
      assert.equal(sha256(await readFile(local)), sha256(files[name]), name);
    }
    return { names, statuses };
  },
};

const commit = await publish(id, files);
await publish("me/preset", { "preset.ini": "[*]\n", "m-Q8_0.gguf": "m" });
await publish("me/text", { "README.md": "no model" });

const checks = {
  async "now: branches, the commit's tree, the model and its projector by commit"() {
    const { wanted, statuses } = await now.fetch(`${id}:Q4_K_M`);
    assert.deepEqual(wanted.map(({ path }) => path), ["llama-Q4_K_M.gguf", "mmproj-llama-Q8_0.gguf"]);
    assert.deepEqual(statuses, [200, 200]);
    for (const { path, oid, local } of wanted) {
      assert.equal(oid, sha256(files[path]));
      assert.equal(sha256(await readFile(local)), oid);
    }
    assert.deepEqual(asked.slice(0, 2), [`GET /api/models/${id}/refs`, `GET /api/models/${id}/tree/${commit}`]);
    assert.deepEqual(fileRequests().sort(), [
      `GET /${id}/resolve/${commit}/llama-Q4_K_M.gguf`,
      `GET /${id}/resolve/${commit}/mmproj-llama-Q8_0.gguf`,
      `HEAD /${id}/resolve/${commit}/llama-Q4_K_M.gguf`,
      `HEAD /${id}/resolve/${commit}/mmproj-llama-Q8_0.gguf`,
    ]);
  },
  async "now: a second time no file is asked for"() {
    const { statuses } = await now.fetch(id);
    assert.deepEqual(statuses, [304, 304]);
    assert.deepEqual(fileRequests(), []);
    assert.equal(asked.length, 2);
  },
  async "now: every part of a split model, with the projector that is nearest to it"() {
    const { wanted } = await now.fetch(`${id}:bf16`);
    const names = [1, 2, 3].map((n) => `BF16/llama-BF16-0000${n}-of-00003.gguf`);
    assert.deepEqual(wanted.map(({ path }) => path), [...names, "mmproj-llama-BF16.gguf"]);
    for (const { path, local } of wanted) assert.equal(sha256(await readFile(local)), sha256(files[path]));
  },
  async "now: what broke off goes on where it stopped"() {
    const [{ url, oid }] = now.plan(await now.list(id), "Q4_K_M");
    const local = join(work, "broken", oid);
    assert.equal(await downloadFile(now.userAgent, url, local, { skipEtag: true, breakAt: 500_000 }), -1);
    assert.equal(await downloadFile(now.userAgent, url, local, { skipEtag: true }), 200);
    assert.equal(sha256(await readFile(local)), oid);
  },
  async "now: a preset goes before models, and what is missing says why"() {
    const { wanted } = await now.fetch("me/preset:Q8_0");
    assert.deepEqual(wanted.map(({ path }) => path), ["preset.ini"]);
    assert.equal(await readFile(wanted[0].local, "utf8"), "[*]\n"); // a file of git, by its id
    await assert.rejects(now.fetch("me/none"), /^Error: GET failed \(404\): Repository not found/);
    await assert.rejects(now.fetch(`${id}:Q2_K`), /no GGUF files found/);
    await assert.rejects(now.fetch("me/text"), /no GGUF files found/);
  },
  async "before: the manifest names the files, which come from main"() {
    const { names, statuses } = await before.fetch(`${id}:Q4_K_M`);
    assert.deepEqual(names, ["llama-Q4_K_M.gguf", "mmproj-llama-BF16.gguf"]);
    assert.deepEqual(statuses, [200, 200]);
    assert.deepEqual(asked, [
      `GET /v2/${id}/manifests/Q4_K_M`,
      ...names.flatMap((name) => [`HEAD /${id}/resolve/main/${name}`, `GET /${id}/resolve/main/${name}`]),
    ]);
    assert.equal((await before.fetch(id)).names[0], "llama-Q4_K_M.gguf");
    assert.equal((await before.fetch(`${id}:q8_0`)).names[0], "llama-Q8_0.gguf");
  },
  async "before: a second time a HEAD, whose ETag says that nothing changed"() {
    const { names, statuses } = await before.fetch(`${id}:Q4_K_M`);
    assert.deepEqual(statuses, [304, 304]);
    assert.deepEqual(fileRequests(), names.map((name) => `HEAD /${id}/resolve/main/${name}`));
  },
  async "before: every part of a split model"() {
    const { names } = await before.fetch(`${id}:BF16`);
    assert.deepEqual(names.slice(0, 3), [1, 2, 3].map((n) => `BF16/llama-BF16-0000${n}-of-00003.gguf`));
  },
  async "before: what is missing says why"() {
    await assert.rejects(before.fetch(`${id}:Q2_K`), /response code: 404/);
    await assert.rejects(before.fetch("me/none"), /response code: 404/);
    await assert.rejects(before.fetch("me/text"), /response code: 404/);
  },
  async "a new commit: both ways fetch what changed, and that alone"() {
    files["llama-Q4_K_M.gguf"] = bytesOf(1_500_000, 20);
    const next = await publish(id, { "llama-Q4_K_M.gguf": files["llama-Q4_K_M.gguf"] });
    assert.deepEqual((await now.fetch(id)).statuses, [200, 304]);
    assert.ok(fileRequests().every((line) => line.includes(`/resolve/${next}/llama-Q4_K_M.gguf`)));
    assert.deepEqual((await before.fetch(id)).statuses, [200, 304]);
  },
};

await runChecks(checks, () => (asked = []));

// The requests that Python's huggingface_hub (1.28, httpx) makes for its reading calls, re-enacted one by
// one with what it demands of each answer (the package itself cannot be installed here): hf_hub_download,
// snapshot_download as it is and as 0.36 did it, file_exists, safetensors metadata, HfFileSystem, and which
// exception each refusal becomes.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { bearer, bytesOf, hubUrl, must, publish, runChecks, send, sha256 } from "./replay.mjs";

const commitHash = /^[0-9a-f]{40}$/;
const prefixes = { model: "", dataset: "datasets/" };

// Sent with every request while it is set; where nobody signed in there is none.
let token = {};

// What was asked since the check began, or forget(): "HEAD /org/tiny/resolve/…".
let asked = [];
const forget = () => (asked = []);
const of = (start) => asked.filter((line) => line.startsWith(start)).length;

async function httpx(method, url, headers = {}, more = {}) {
  asked.push(`${method} ${new URL(url).pathname}`);
  return send(
    method,
    url,
    {
      accept: "*/*",
      "accept-encoding": "gzip, deflate",
      "user-agent": "unknown/None; hf_hub/1.28.0; python/3.12.3",
      "x-amzn-trace-id": randomUUID(),
      ...headers,
    },
    more,
  );
}

class HubError extends Error {
  constructor(name, answer, url) {
    super(`${name}: ${answer.status} ${url} ${answer.headers.get("x-error-message")}`);
    this.name = name;
    this.answer = answer;
  }
}

// hf_raise_for_status: the first line that holds.
function raiseForStatus(answer, url) {
  if (answer.status < 400) return answer;
  const code = answer.headers.get("x-error-code");
  const message = answer.headers.get("x-error-message");
  const isRepositoryUrl = /^https:\/\/[^/]+(\/api\/(models|datasets|spaces)\/.+|\/.+\/resolve\/.+)/;
  const names = [
    [code === "RevisionNotFound", "RevisionNotFoundError"],
    [code === "EntryNotFound", "RemoteEntryNotFoundError"],
    [code === "GatedRepo", "GatedRepoError"],
    [message === "Access to this resource is disabled.", "DisabledRepoError"],
    [code === "RepoNotFound", "RepositoryNotFoundError"],
    [answer.status === 401 && isRepositoryUrl.test(url), "RepositoryNotFoundError"],
    [answer.status === 400, "BadRequestError"],
    [true, "HfHubHTTPError"],
  ];
  throw new HubError(names.find(([holds]) => holds)[1], answer, url);
}

// hf_hub_url: quote(revision, safe=""), quote(filename).
const escaped = (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`;
const quote = (text) => encodeURIComponent(text).replace(/[!'()*]/g, escaped);
function fileUrl({ id, type = "model", revision = "main", endpoint = hubUrl }, path) {
  return `${endpoint}/${prefixes[type]}${id}/resolve/${quote(revision)}/${path.split("/").map(quote).join("/")}`;
}

// get_hf_file_metadata: a redirect is followed if it names no host, and then by its path alone.
async function metadataOf(url) {
  for (;;) {
    const answer = raiseForStatus(await httpx("HEAD", url, { ...token, "accept-encoding": "identity" }), url);
    const location = answer.headers.get("location");
    if (answer.status >= 300 && !/^(https?:)?\/\//.test(location)) {
      const next = new URL(url);
      next.pathname = new URL(location, url).pathname;
      url = next.href;
      continue;
    }
    const header = (name) => answer.headers.get(name);
    assert.equal(answer.body.length, 0);
    // With either the client would go by Xet instead.
    assert.equal(header("x-xet-hash"), null);
    assert.doesNotMatch(header("link") ?? "", /xet-auth/);
    const etag = (header("x-linked-etag") || header("etag"))?.replace(/^[W/]+/, "").replace(/^"|"$/g, "");
    const size = header("x-linked-size") || (location ? null : header("content-length"));
    // FileMetadataError: "Distant resource does not …"
    assert.ok(header("x-repo-commit"), "no X-Repo-Commit");
    assert.ok(etag, "no ETag");
    assert.ok(size, "no Content-Length");
    return { commit: header("x-repo-commit"), etag, size: Number(size), location: location ?? url };
  }
}

// http_get: whatever broke off goes on where it stopped, without naming a version; a 200 starts again.
async function download(url, size, breakAt = []) {
  let bytes = Buffer.alloc(0);
  for (let tries = 0; ; ++tries) {
    const range = bytes.length > 0 ? { range: `bytes=${bytes.length}-` } : {};
    const answer = await httpx("GET", url, { ...token, ...range }, { stopAfter: breakAt[tries] });
    raiseForStatus(answer, url);
    assert.equal(answer.headers.get("content-encoding"), null);
    assert.equal(answer.status, range.range ? 206 : 200);
    if (range.range) assert.equal(answer.headers.get("content-range"), `bytes ${bytes.length}-${size - 1}/${size}`);
    bytes = Buffer.concat([bytes, answer.body]);
    if (breakAt[tries] === undefined) break;
  }
  assert.equal(bytes.length, size, "Consistency check failed");
  return bytes;
}

async function write(path, content) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

const cache = join(process.env.WORK, "cache");
const folderOf = ({ id, type = "model" }) => join(cache, [`${type}s`, ...id.split("/")].join("--"));

async function pathInCache(repo, path, commit) {
  const pointer = commit && join(folderOf(repo), "snapshots", commit, path);
  return pointer && existsSync(pointer) ? pointer : undefined;
}

// What an error of HEAD leaves to be had: LocalEntryNotFoundError if nothing.
async function cachedOrRaise(repo, path, error) {
  const ref = join(folderOf(repo), "refs", repo.revision ?? "main");
  const found = await pathInCache(repo, path, existsSync(ref) ? await readFile(ref, "utf8") : undefined);
  if (found) return found;
  if (["RepositoryNotFoundError", "GatedRepoError"].includes(error.name) || error.answer?.status === 401) throw error;
  throw Object.assign(new Error("check your connection"), { name: "LocalEntryNotFoundError", cause: error });
}

async function hfHubDownload(repo, path, breakAt) {
  const { revision = "main" } = repo;
  const folder = folderOf(repo);
  if (commitHash.test(revision)) {
    const held = await pathInCache(repo, path, revision);
    if (held) return held;
  }
  const url = fileUrl(repo, path);
  let found;
  try {
    found = await metadataOf(url);
  } catch (error) {
    if (error.name === "RemoteEntryNotFoundError") {
      const commit = error.answer.headers.get("x-repo-commit");
      await write(join(folder, ".no_exist", commit, path), "");
      await write(join(folder, "refs", revision), commit);
    }
    if (["RemoteEntryNotFoundError", "RevisionNotFoundError"].includes(error.name)) throw error;
    return cachedOrRaise(repo, path, error);
  }
  if (revision !== found.commit) await write(join(folder, "refs", revision), found.commit);
  const pointer = join(folder, "snapshots", found.commit, path);
  if (existsSync(pointer)) return pointer;
  const blob = join(folder, "blobs", found.etag);
  if (!existsSync(blob)) {
    await write(`${blob}.incomplete`, await download(found.location, found.size, breakAt));
    await rename(`${blob}.incomplete`, blob);
  }
  await mkdir(dirname(pointer), { recursive: true });
  await symlink(relative(dirname(pointer), blob), pointer);
  return pointer;
}

async function getJson(url) {
  const answer = raiseForStatus(await httpx("GET", url, token), url);
  return { json: JSON.parse(answer.body), headers: answer.headers };
}

function infoUrl({ id, type = "model", revision = "main" }) {
  return `${hubUrl}/api/${type}s/${id}/revision/${quote(revision)}`;
}

// list_repo_tree, whose next page is where Link says, as it stands there.
async function listTree({ id, type = "model" }, revision, query, directory) {
  const entries = [];
  const below = directory ? `/${quote(directory)}` : "";
  let next = `${hubUrl}/api/${type}s/${id}/tree/${quote(revision)}${below}?${query}`;
  while (next) {
    const { json, headers } = await getJson(next);
    entries.push(...json);
    next = /<([^>]*)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];
  }
  return entries;
}

// As of 1.22: the commit, its tree (kept: it never changes), then each file at the commit.
async function snapshotDownload(repo, query = "") {
  const { json } = await getJson(infoUrl(repo));
  assert.match(json.sha, commitHash);
  const kept = join(folderOf(repo), "trees", `${json.sha}.json`);
  if (!existsSync(kept)) {
    const tree = await listTree(repo, json.sha, `recursive=true&expand=false${query}`);
    const files = tree.filter((entry) => entry.type === "file");
    for (const file of files) {
      assert.ok(!("xetHash" in file) && commitHash.test(file.oid) && Number.isInteger(file.size));
    }
    await write(kept, JSON.stringify(files));
  }
  await write(join(folderOf(repo), "refs", repo.revision ?? "main"), json.sha);
  const files = JSON.parse(await readFile(kept));
  const paths = files.map((file) => hfHubDownload({ ...repo, revision: json.sha }, file.path));
  return { commit: json.sha, files, paths: await Promise.all(paths) };
}

const checks = {
  async "hf_hub_download of a file of LFS, which goes on twice after a broken connection"() {
    const path = await hfHubDownload({ id: "org/tiny" }, "model.safetensors", [1_000_000, 700_000]);
    const bytes = await readFile(path);
    assert.equal(bytes.length, 3_000_017);
    assert.ok(existsSync(join(folderOf({ id: "org/tiny" }), "blobs", sha256(bytes))));
    assert.deepEqual([of("HEAD"), of("GET")], [1, 3]);
  },
  async "hf_hub_download of a file of git, of an empty one and of one with an odd name"() {
    const names = ["README.md", "empty.txt", 'sub dir/naïve "file".txt'];
    for (const name of names) {
      const bytes = await readFile(await hfHubDownload({ id: "org/tiny" }, name));
      const oid = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
      assert.ok(existsSync(join(folderOf({ id: "org/tiny" }), "blobs", oid)), name);
    }
    assert.match(await readFile(await hfHubDownload({ id: "org/data", type: "dataset" }, "data.csv"), "utf8"), /^a,b/);
  },
  async "hf_hub_download by tag, pull request and commit, where it asks nothing twice"() {
    for (const revision of ["v1", "refs/pr/1", "refs/heads/main"]) {
      await hfHubDownload({ id: "org/tiny", revision }, "config.json");
    }
    assert.equal(of("GET"), 1);
    const commit = await readFile(join(folderOf({ id: "org/tiny" }), "refs", "v1"), "utf8");
    forget();
    await hfHubDownload({ id: "org/tiny", revision: commit }, "config.json");
    assert.deepEqual(asked, []);
  },
  async "a redirect that names no host is followed, without its query"() {
    const path = await hfHubDownload({ id: "example/camelcase" }, "config.json");
    assert.equal(await readFile(path, "utf8"), "{}");
    assert.deepEqual(asked, [
      "HEAD /example/camelcase/resolve/main/config.json",
      "HEAD /Example/CamelCase/resolve/main/config.json",
      "GET /Example/CamelCase/resolve/main/config.json",
    ]);
    const answer = await send("HEAD", `${hubUrl}/example/camelcase/resolve/main/config.json`);
    assert.match(answer.headers.get("location"), /^\/[^/?]+\/[^?]*$/);
  },
  async "each kind of 404 is the exception it should be"() {
    const rejects = (repo, path, name) => assert.rejects(hfHubDownload(repo, path), { name });
    await rejects({ id: "org/none" }, "config.json", "RepositoryNotFoundError");
    await rejects({ id: "org/tiny", revision: "none" }, "config.json", "RevisionNotFoundError");
    await rejects({ id: "org/tiny", revision: "0".repeat(40) }, "x", "RevisionNotFoundError");
    await rejects({ id: "org/tiny" }, "onnx/none.json", "RemoteEntryNotFoundError");
    await rejects({ id: "org/data" }, "data.csv", "RepositoryNotFoundError"); // it is a dataset
    const commit = await readFile(join(folderOf({ id: "org/tiny" }), "refs", "main"), "utf8");
    assert.ok(existsSync(join(folderOf({ id: "org/tiny" }), ".no_exist", commit, "onnx/none.json")));
    await assert.rejects(snapshotDownload({ id: "org/none" }), { name: "RepositoryNotFoundError" });
    await assert.rejects(snapshotDownload({ id: "org/tiny", revision: "none" }), { name: "RevisionNotFoundError" });
    await assert.rejects(listTree({ id: "org/tiny" }, "main", "recursive=false", "additional_chat_templates"), {
      name: "RemoteEntryNotFoundError",
    });
  },
  async "with a token of another hub what is public is public"() {
    token = bearer;
    try {
      assert.ok(await hfHubDownload({ id: "gpt2" }, "config.json"));
      await assert.rejects(hfHubDownload({ id: "gpt2" }, "none"), { name: "RemoteEntryNotFoundError" });
      // What is not there may be private: the answer is that the token is wrong.
      const wrong = { name: "HfHubHTTPError", message: /401.*Invalid credentials/ };
      await assert.rejects(hfHubDownload({ id: "org/none" }, "x"), wrong);
    } finally {
      token = {};
    }
  },
  async "without a connection what it holds is there, and nothing else"() {
    const gone = { id: "org/tiny", endpoint: "http://127.0.0.1:1" };
    assert.ok((await hfHubDownload(gone, "config.json")).endsWith("config.json"));
    await assert.rejects(hfHubDownload(gone, "index.html"), { name: "LocalEntryNotFoundError" });
  },
  async "file_exists, repo_exists, revision_exists"() {
    const exists = (promise, names) =>
      promise.then(() => true, (error) => assert.ok(names.includes(error.name), String(error)) ?? false);
    const missing = ["RepositoryNotFoundError", "RevisionNotFoundError", "RemoteEntryNotFoundError"];
    const file = (repo, path) => exists(metadataOf(fileUrl(repo, path)), missing);
    assert.equal(await file({ id: "org/tiny" }, "config.json"), true);
    assert.equal(await file({ id: "org/tiny" }, "none"), false);
    assert.equal(await file({ id: "org/tiny", revision: "none" }, "config.json"), false);
    assert.equal(await file({ id: "org/none" }, "config.json"), false);
    const repo = (id) => exists(getJson(`${hubUrl}/api/models/${id}`), missing.slice(0, 1));
    assert.deepEqual([await repo("org/tiny"), await repo("org/none")], [true, false]);
    const revision = (name) => exists(getJson(infoUrl({ id: "org/tiny", revision: name })), missing.slice(1, 2));
    assert.deepEqual([await revision("v1"), await revision("none")], [true, false]);
  },
  async "snapshot_download, and again: it asks for the commit alone"() {
    const files = { "config.json": "{}", "a/b/model.gguf": bytesOf(200_000), "a/c.txt": "c", "d.txt": "d" };
    const commit = await publish("me/snapshot", files);
    const repo = { id: "me/snapshot" };
    forget();
    const first = await snapshotDownload(repo, "&limit=2"); // in pages
    assert.equal(first.commit, commit);
    assert.deepEqual(first.files.map((f) => f.path).sort(), [".gitattributes", ...Object.keys(files)].sort());
    for (const path of first.paths) {
      const name = relative(join(folderOf(repo), "snapshots", commit), path);
      if (files[name]) assert.deepEqual(await readFile(path), Buffer.from(files[name]), name);
    }
    const lfs = first.files.find((file) => file.path.endsWith(".gguf")).lfs;
    assert.deepEqual([lfs.oid, lfs.size], [sha256(files["a/b/model.gguf"]), 200_000]);
    assert.ok(of(`GET /api/models/me/snapshot/tree/${commit}`) > 1);
    assert.deepEqual([of("HEAD"), of("GET /me/")], [5, 5]);
    forget();
    await snapshotDownload(repo);
    assert.deepEqual(asked, ["GET /api/models/me/snapshot/revision/main"]);
  },
  async "snapshot_download after a commit: what is new is fetched"() {
    const commit = await publish("me/snapshot", { "config.json": '{"a":1}' });
    forget();
    const { paths } = await snapshotDownload({ id: "me/snapshot" });
    assert.deepEqual([of("HEAD"), of("GET /me/")], [5, 1]);
    const config = paths.find((path) => path.endsWith("config.json"));
    assert.equal(await readFile(config, "utf8"), '{"a":1}');
    assert.ok(config.includes(commit));
  },
  async "snapshot_download of 0.36, by siblings, and Python's way to write a truth"() {
    const { json } = await getJson(`${infoUrl({ id: "org/tiny" })}?securityStatus=False`);
    const names = json.siblings.map((sibling) => sibling.rfilename);
    assert.ok(names.includes("onnx/deep/model.onnx") && !names.includes("pytorch_model.bin"));
    for (const name of names) await hfHubDownload({ id: "org/tiny", revision: json.sha }, name);
    const truths = await Promise.all(
      ["true", "True", "1"].map((word) => listTree({ id: "org/tiny" }, "main", `recursive=${word}&expand=${word}`)),
    );
    for (const tree of truths) assert.deepEqual(tree, truths[0]);
    assert.ok(truths[0].every((entry) => entry.lastCommit?.id));
  },
  async "get_safetensors_metadata: one range, and a second one for a long header"() {
    const tensors = (count) => {
      const header = { __metadata__: { format: "pt" } };
      for (let i = 0; i < count; ++i) {
        header[`model.layers.${i}.weight`] = { dtype: "F32", shape: [1], data_offsets: [i * 4, i * 4 + 4] };
      }
      const text = Buffer.from(JSON.stringify(header));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(text.length));
      return { header, bytes: Buffer.concat([length, text, bytesOf(count * 4)]) };
    };
    for (const [count, requests] of [[3, 1], [2000, 2]]) {
      const { header, bytes } = tensors(count);
      await publish("me/tensors", { "model.safetensors": bytes });
      const url = fileUrl({ id: "me/tensors" }, "model.safetensors");
      forget();
      const first = raiseForStatus(await httpx("GET", url, { range: "bytes=0-100000" }), url);
      const size = Number(first.body.readBigUInt64LE());
      let text = first.body.subarray(8, 8 + size);
      if (size > first.body.length - 8) {
        const rest = await httpx("GET", url, { range: `bytes=8-${size + 7}` });
        text = raiseForStatus(rest, url).body;
      }
      assert.deepEqual(JSON.parse(text), header);
      assert.equal(asked.length, requests);
    }
  },
  async "HfFileSystem: info, ls, paths-info by form, a range"() {
    const top = await listTree({ id: "org/tiny" }, "main", "recursive=false&expand=true");
    assert.ok(top.some((entry) => entry.type === "directory" && entry.path === "onnx"));
    const below = await listTree({ id: "org/tiny" }, "main", "recursive=false&expand=false", "sub dir");
    assert.deepEqual(below.map((entry) => entry.path), ['sub dir/naïve "file".txt']);
    const deep = await listTree({ id: "org/tiny" }, "main", "recursive=false&expand=false", "onnx/deep");
    assert.deepEqual(deep.map((entry) => entry.path), ["onnx/deep/model.onnx"]);
    const body = "paths=onnx&paths=model.safetensors&paths=none&expand=True";
    const form = { "content-type": "application/x-www-form-urlencoded" };
    const found = (await must("POST", "/api/models/org/tiny/paths-info/main", body, form)).body;
    const types = found.map((entry) => [entry.type, entry.path]);
    assert.deepEqual(types, [["directory", "onnx"], ["file", "model.safetensors"]]);
    const url = fileUrl({ id: "org/tiny" }, "model.safetensors");
    const part = raiseForStatus(await httpx("GET", url, { range: "bytes=1000-1999" }), url);
    const whole = await readFile(await hfHubDownload({ id: "org/tiny" }, "model.safetensors"));
    assert.deepEqual(part.body, whole.subarray(1000, 2000));
  },
};

await runChecks(checks, forget);

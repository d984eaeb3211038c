// npm @huggingface/hub reads by Xet from the server in HF_ENDPOINT; its sisters @huggingface/xetchunk-wasm
// and blake3-jit say what the server's cuts and names have to be.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { downloadFile, fileDownloadInfo, listFiles, snapshotDownload } from "@huggingface/hub";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { chunksOf, nameOfChunk, nameOfFile, nameOfXorb, packageAgrees, packageChunks } from "./xet_oracle.mjs";

const hubUrl = process.env.HF_ENDPOINT;
const repo = { type: "model", name: "org/xet" };
const options = { repo, hubUrl };
const paths = ["short.bin", "zeros.bin", "mixed.bin", "large.bin"];
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

async function plain(path, headers = {}) {
  const response = await fetch(`${hubUrl}/org/xet/resolve/main/${path}`, { headers });
  assert.ok(response.ok, `${path}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

// Counts what the client asks for, so that nobody takes plain HTTP for Xet.
function watching() {
  const seen = { token: 0, reconstruction: 0, xorb: 0, resolve: 0 };
  const watched = (url, init) => {
    const path = new URL(url instanceof Request ? url.url : url).pathname;
    if (path.includes("/xet-read-token/")) ++seen.token;
    if (path.startsWith("/-/xet/v2/reconstructions/")) ++seen.reconstruction;
    if (path.startsWith("/-/xet/xorbs/")) ++seen.xorb;
    if (path.includes("/resolve/")) ++seen.resolve;
    return fetch(url, init);
  };
  return { seen, fetch: watched };
}

async function description(version, hash, range) {
  const { accessToken, casUrl } = await (await fetch(`${hubUrl}/api/models/org/xet/xet-read-token/main`)).json();
  const headers = { authorization: `Bearer ${accessToken}`, ...(range && { range }) };
  const response = await fetch(`${casUrl}/${version}/reconstructions/${hash}`, { headers });
  assert.equal(response.status, 200);
  return response.json();
}

const checks = {
  async "cuts and names files, xorbs and chunks as Hugging Face's packages do"() {
    let agreed = 0;
    for (const path of paths) {
      const bytes = await plain(path);
      const info = await fileDownloadInfo({ ...options, path });
      const chunks = chunksOf(bytes);
      assert.equal(info.xet.hash, nameOfFile(chunks), path);
      // The package's own cuts as well, where it keeps to the least length.
      if (packageAgrees(bytes)) {
        ++agreed;
        assert.equal(info.xet.hash, nameOfFile(packageChunks(bytes)), path);
      }
      let at = 0;
      for (const term of (await description("v2", info.xet.hash)).terms) {
        const part = chunks.slice(at, at + term.range.end - term.range.start);
        assert.equal(term.range.start, 0);
        assert.equal(term.hash, nameOfXorb(part), path);
        at += part.length;
      }
      assert.equal(at, chunks.length);
    }
    assert.ok(agreed >= 2);
    assert.equal((await description("v2", (await fileDownloadInfo({ ...options, path: "large.bin" })).xet.hash)).terms.length, 2);
  },
  async "writes the hashes of all chunks at the end of a xorb"() {
    const chunks = chunksOf(await plain("mixed.bin"));
    const { xet } = await fileDownloadInfo({ ...options, path: "mixed.bin" });
    const [[fetches]] = Object.values((await description("v1", xet.hash)).fetch_info).map((list) => [list]);
    const xorb = Buffer.from(await (await fetch(fetches[0].url)).arrayBuffer());
    const footer = xorb.subarray(xorb.length - 4 - xorb.readUInt32LE(xorb.length - 4), xorb.length - 4);
    assert.equal(footer.readUInt32LE(footer.length - 28), chunks.length);
    const hashes = footer.subarray(footer.length - footer.readUInt32LE(footer.length - 24) + 12);
    chunks.forEach((chunk, i) => {
      assert.equal(nameOfChunk({ hash: new Uint8Array(hashes.subarray(32 * i, 32 * i + 32)) }), nameOfChunk(chunk));
    });
  },
  async "reads whole files by Xet"() {
    for (const path of paths) {
      const expected = await plain(path);
      const { seen, fetch: watched } = watching();
      const blob = await downloadFile({ ...options, path, fetch: watched });
      assert.equal(blob.constructor.name, "XetBlob", path);
      assert.equal(blob.size, expected.length);
      assert.equal(sha256(new Uint8Array(await blob.arrayBuffer())), sha256(expected), path);
      assert.ok(seen.reconstruction >= 1 && seen.xorb >= 1, path);
      assert.equal(seen.resolve, 1, path);
    }
  },
  async "reads one at a time as well as side by side"() {
    const { hash, refreshUrl, reconstructionUrl } = (await fileDownloadInfo({ ...options, path: "large.bin" })).xet;
    const expected = await plain("large.bin");
    const { XetBlob } = await downloadFile({ ...options, path: "large.bin" }).then((blob) => ({ XetBlob: blob.constructor }));
    for (const parallelDownloads of [false, { maxConcurrency: 4 }]) {
      const blob = new XetBlob({ hash, refreshUrl: refreshUrl.href, size: expected.length, parallelDownloads });
      assert.equal(sha256(new Uint8Array(await blob.arrayBuffer())), sha256(expected));
      const other = new XetBlob({ reconstructionUrl: reconstructionUrl.href, refreshUrl: refreshUrl.href, size: expected.length, parallelDownloads });
      assert.equal(sha256(new Uint8Array(await other.slice(5, 65_000_005).arrayBuffer())), sha256(expected.subarray(5, 65_000_005)));
    }
  },
  async "reads ranges, across chunks and across xorbs"() {
    const expected = await plain("large.bin");
    const blob = await downloadFile({ ...options, path: "large.bin" });
    const size = expected.length;
    for (const [start, end] of [
      [0, 1],
      [size - 1, size],
      [1_000_000, 1_000_100],
      [66_000_000, 68_000_000],
      [67_000_000, size],
      [12_345, 12_345 + 200_000],
    ]) {
      const part = new Uint8Array(await blob.slice(start, end).arrayBuffer());
      assert.equal(part.length, end - start);
      assert.equal(sha256(part), sha256(expected.subarray(start, end)), `${start}-${end}`);
    }
  },
  async "reads an empty file, and what is not of LFS, without Xet"() {
    for (const [path, text] of [["empty.txt", ""], ["plain.txt", "not of LFS\n"]]) {
      const { seen, fetch: watched } = watching();
      assert.equal((await fileDownloadInfo({ ...options, path })).xet, undefined);
      assert.equal(await (await downloadFile({ ...options, path, fetch: watched })).text(), text);
      assert.equal(seen.xorb, 0);
    }
    const { seen, fetch: watched } = watching();
    const blob = await downloadFile({ ...options, path: "mixed.bin", xet: false, fetch: watched });
    assert.equal(sha256(new Uint8Array(await blob.arrayBuffer())), sha256(await plain("mixed.bin")));
    assert.equal(seen.xorb, 0);
  },
  async "lists names, and takes a snapshot by them"() {
    const files = [];
    for await (const file of listFiles(options)) files.push(file);
    for (const file of files) assert.equal(/^[0-9a-f]{64}$/.test(file.xetHash ?? ""), paths.includes(file.path), file.path);
    const { seen, fetch: watched } = watching();
    const folder = await snapshotDownload({ ...options, cacheDir: join(process.env.WORK, "xet-cache"), fetch: watched });
    for (const path of [...paths, "plain.txt"]) {
      assert.equal(sha256(await readFile(join(folder, path))), sha256(await plain(path)), path);
    }
    assert.ok(seen.xorb >= paths.length);
  },
  // hf_xet, as huggingface_hub drives it, cannot be installed here: its requests, one by one.
  async "answers the requests of hf_xet, re-enacted"() {
    const head = await fetch(`${hubUrl}/org/xet/resolve/main/large.bin`, { method: "HEAD" });
    const hash = head.headers.get("x-xet-hash");
    const link = /<([^>]+)>; rel="xet-auth"/.exec(head.headers.get("link"))[1];
    assert.ok(link.endsWith(`/xet-read-token/${head.headers.get("x-repo-commit")}`));
    const token = await fetch(link);
    const { accessToken, exp, casUrl } = await token.json();
    assert.equal(token.headers.get("x-xet-access-token"), accessToken);
    assert.equal(token.headers.get("x-xet-token-expiration"), String(exp));
    assert.equal(token.headers.get("x-xet-cas-url"), casUrl);
    assert.ok(exp > Date.now() / 1000 + 60);
    const ask = (version, range) =>
      fetch(`${casUrl}/${version}/reconstructions/${hash}`, { headers: { authorization: `Bearer ${accessToken}`, range } });
    assert.equal((await ask("v2", "bytes=70000000-70000001")).status, 416);
    const expected = await plain("large.bin");
    for (const version of ["v1", "v2"]) {
      const window = await (await ask(version, "bytes=60000000-69999999")).json();
      const parts = [];
      for (const term of window.terms) {
        const fetches = version === "v1" ? window.fetch_info[term.hash] : window.xorbs[term.hash];
        const entry = fetches.find((f) => {
          const range = version === "v1" ? f.range : f.ranges[0].chunks;
          return range.start <= term.range.start && term.range.end <= range.end;
        });
        const bytes = version === "v1" ? entry.url_range : entry.ranges[0].bytes;
        const answer = await fetch(entry.url, { headers: { range: `bytes=${bytes.start}-${bytes.end}` } });
        assert.equal(answer.status, 206);
        const xorb = Buffer.from(await answer.arrayBuffer());
        assert.equal(xorb.length, bytes.end - bytes.start + 1);
        for (let at = 0; at < xorb.length; ) {
          const size = xorb.readUIntLE(at + 5, 3);
          parts.push(xorb.subarray(at + 8, at + 8 + size));
          at += 8 + size;
        }
      }
      const all = Buffer.concat(parts).subarray(window.offset_into_first_range);
      assert.equal(sha256(all.subarray(0, 10_000_000)), sha256(expected.subarray(60_000_000)));
    }
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log(`ok: ${name}`);
}

// The requests of `ollama pull`, re-enacted (its binary cannot be installed here): the manifest, a HEAD of
// each digest, the question where its bytes are, and the parts, which bring no token and must be what was
// asked for. Both ways to read the answer to that question: as of 0.33, and as older ones do.
import assert from "node:assert/strict";
import { bytesOf, hubUrl, must, publish, runChecks, send, sha256 } from "./replay.mjs";

const manifestType = "application/vnd.docker.distribution.manifest.v2+json";
const layerType = "application/vnd.ollama.image.";
const ollama = { "user-agent": "ollama/0.33.0 (amd64 linux) Go/go1.24.1" };
const go = { "user-agent": "Go-http-client/1.1" }; // http.DefaultClient, which fetches the parts
const gzip = { "accept-encoding": "gzip" }; // of Go's transport, but for HEAD and ranges
const partsMax = 16;
const partMin = 100_000; // 100 MB in ollama
const partMax = 1_000_000; // 1 GB

const files = {
  "m-Q4_K_M.gguf": bytesOf(2_500_001, 1),
  "m-Q8_0.gguf": bytesOf(150_000, 2),
  "m.F16.gguf": bytesOf(99_999, 3),
  "mmproj-m-f16.gguf": bytesOf(120_000, 4),
  "big-Q5_0-00001-of-00002.gguf": bytesOf(10, 5),
  "big-Q5_0-00002-of-00002.gguf": bytesOf(10, 6),
  template: "{{ .Prompt }}",
  system: "You are a model.",
  params: '{"temperature":0.5}',
};

// ollama's errors: what `ollama pull` says, with the answer it is made of.
class PullError extends Error {
  constructor(message, answer) {
    super(message);
    this.answer = answer;
  }
}

// makeRequestWithRetry
async function registry(method, url, headers = {}) {
  const answer = await send(method, url, { ...ollama, ...(method === "GET" ? gzip : {}), ...headers });
  if (answer.status === 401) throw new PullError("unauthorized", answer);
  if (answer.status === 404) throw new PullError("file does not exist", answer);
  if (answer.status >= 400) throw new PullError(`${answer.status}: ${answer.body}`, answer);
  return answer;
}

// Where the parts are. 0.33: Location, which also a 200 must have; before: that of a redirect, else the URL.
const ways = {
  "0.33"(answer, url) {
    assert.ok([200, 307].includes(answer.status), `unexpected status code ${answer.status}`);
    const location = answer.headers.get("location");
    assert.ok(location, "http: no Location header in response");
    return new URL(location, url).href;
  },
  before(answer, url) {
    if ([302, 307].includes(answer.status)) return new URL(answer.headers.get("location"), url).href;
    assert.equal(answer.status, 200, `unexpected status code ${answer.status}`);
    return url;
  },
};

function partsOf(total) {
  const size = Math.min(Math.max(Math.floor(total / partsMax), partMin), partMax);
  const parts = [];
  for (let first = 0; first < total; first += size) parts.push([first, Math.min(first + size, total) - 1]);
  return parts;
}

let partsAsked = 0;

async function downloadBlob(name, { digest, size }, way) {
  const url = `${hubUrl}/v2/${name}/blobs/${digest}`;
  const head = await registry("HEAD", url);
  const total = Number(head.headers.get("content-length"));
  assert.equal(total, size);
  const probe = await registry("GET", url);
  if (way === "0.33") assert.equal(probe.body.length, 0); // it is never read, and may be many GB
  const direct = ways[way](probe, url);
  const parts = await Promise.all(
    partsOf(total).map(async ([first, last]) => {
      ++partsAsked;
      const part = await send("GET", direct, { ...go, range: `bytes=${first}-${last}` });
      // ollama itself does not look at the status: a whole file would be a broken one.
      assert.equal(part.status, 206);
      assert.equal(part.headers.get("content-range"), `bytes ${first}-${last}/${total}`);
      assert.equal(part.body.length, last - first + 1);
      return part.body;
    }),
  );
  const bytes = Buffer.concat(parts);
  assert.equal(`sha256:${sha256(bytes)}`, digest, "digest mismatch, file must be downloaded again");
  return bytes;
}

// ollama pull --insecure HOST/NAME[:TAG]
async function pull(reference, way = "0.33") {
  const [name, tag = "latest"] = reference.split(":");
  const answer = await registry("GET", `${hubUrl}/v2/${name}/manifests/${tag}`, { accept: manifestType });
  const manifest = JSON.parse(answer.body);
  assert.equal(manifest.schemaVersion, 2);
  assert.equal(manifest.mediaType, manifestType);
  assert.equal(answer.headers.get("content-type"), manifestType);
  const pulled = { manifest, layers: {} };
  for (const layer of manifest.layers) {
    assert.match(layer.digest, /^sha256:[0-9a-f]{64}$/);
    pulled.layers[layer.mediaType] = await downloadBlob(name, layer, way);
  }
  pulled.config = JSON.parse(await downloadBlob(name, manifest.config, way));
  return pulled;
}

const modelOf = (pulled) => Buffer.from(pulled.layers[`${layerType}model`]);
const id = "me/pulled";
await publish(id, files);

const checks = {
  async "pull fetches every layer in parts, and the configuration"() {
    for (const way of Object.keys(ways)) {
      partsAsked = 0;
      const { layers, config, manifest } = await pull(`${id}:Q4_K_M`, way);
      const wanted = {
        model: "m-Q4_K_M.gguf",
        projector: "mmproj-m-f16.gguf",
        template: "template",
        system: "system",
        params: "params",
      };
      assert.deepEqual(Object.keys(layers).sort(), Object.keys(wanted).map((word) => layerType + word).sort());
      for (const [word, path] of Object.entries(wanted)) {
        assert.equal(sha256(layers[layerType + word]), sha256(files[path]), path);
      }
      assert.equal(partsAsked, 17 + 2 + 3 + 1);
      assert.equal(manifest.config.mediaType, "application/vnd.docker.container.image.v1+json");
      assert.equal(config.model_format, "gguf");
      assert.deepEqual(config.rootfs.diff_ids, [`sha256:${sha256(files["m-Q4_K_M.gguf"])}`]);
    }
  },
  async "the layer of the model is its LFS object"() {
    const { manifest } = await pull(`${id}:Q8_0`);
    const [entry] = (await must("POST", `/api/models/${id}/paths-info/main`, { paths: ["m-Q8_0.gguf"] })).body;
    assert.equal(manifest.layers[0].digest, `sha256:${entry.lfs.oid}`);
    assert.equal(manifest.layers[0].size, entry.lfs.size);
  },
  async "a tag is a quantization in any case, or a file's name; none is Q4_K_M"() {
    const cases = {
      "": "m-Q4_K_M.gguf",
      ":latest": "m-Q4_K_M.gguf",
      ":Q4_K_M": "m-Q4_K_M.gguf",
      ":q4_k_m": "m-Q4_K_M.gguf",
      ":q8_0": "m-Q8_0.gguf",
      ":F16": "m.F16.gguf", // and no mmproj file
      ":m-Q8_0.gguf": "m-Q8_0.gguf",
      ":m-Q8_0": "m-Q8_0.gguf",
    };
    for (const [tag, path] of Object.entries(cases)) {
      assert.equal(sha256(modelOf(await pull(id + tag))), sha256(files[path]), tag);
    }
  },
  async "what is not there says so as registries do, and as the hub"() {
    const cases = [
      [`${id}:Q2_K`, "MANIFEST_UNKNOWN"],
      [`${id}:Q4`, "MANIFEST_UNKNOWN"], // no part of a word
      [`${id}:Q5_0`, "MANIFEST_UNKNOWN"], // a split model
      ["me/none:latest", "NAME_UNKNOWN"],
      ["gpt2:latest", "MANIFEST_UNKNOWN"], // without a GGUF file
    ];
    for (const [reference, code] of cases) {
      await assert.rejects(pull(reference), ({ message, answer }) => {
        assert.equal(message, "file does not exist", reference);
        const body = JSON.parse(answer.body);
        assert.deepEqual(body.errors.map((error) => error.code), [code], reference);
        assert.equal(body.errors[0].message, body.error);
        return true;
      });
    }
    const blob = `${hubUrl}/v2/${id}/blobs/sha256:${"0".repeat(64)}`;
    for (const method of ["HEAD", "GET"]) await assert.rejects(registry(method, blob), /file does not exist/);
  },
  async "a part that broke off goes on where it stopped"() {
    const { manifest } = await pull(`${id}:Q4_K_M`);
    const url = `${hubUrl}/v2/${id}/blobs/${manifest.layers[0].digest}`;
    const direct = ways["0.33"](await registry("GET", url), url);
    const begun = await send("GET", direct, { ...go, range: "bytes=1000000-1999999" }, { stopAfter: 300_000 });
    const first = 1_000_000 + begun.body.length;
    const rest = await send("GET", direct, { ...go, range: `bytes=${first}-1999999` });
    assert.equal(rest.status, 206);
    const whole = Buffer.concat([begun.body, rest.body]);
    assert.deepEqual(whole, files["m-Q4_K_M.gguf"].subarray(1_000_000, 2_000_000));
  },
  async "a pull that began before a commit ends after it"() {
    const { manifest } = await pull(`${id}:Q8_0`);
    await publish(id, { "m-Q8_0.gguf": bytesOf(1000, 9) });
    const blobs = [manifest.config, ...manifest.layers];
    for (const blob of blobs) await downloadBlob(id, blob, "0.33");
    assert.equal(modelOf(await pull(`${id}:Q8_0`)).length, 1000);
  },
};

await runChecks(checks);

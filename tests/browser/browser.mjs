// A real browser, headless, on a page of another origin: it loads @huggingface/transformers, and with
// it a tokenizer and a configuration from the server in HF_ENDPOINT; then it reads a range with a
// token, which makes the browser ask first (CORS preflight), and the headers that tell what came.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { skip, startBrowser, stopBrowser } from "./chromium.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const library = join(here, "../clients/node_modules/@huggingface/transformers/dist/transformers.min.js");

const page = `<!doctype html><meta charset="utf-8"><title>another origin</title><script type="module">
const hub = ${JSON.stringify(process.env.HF_ENDPOINT)};
const found = {};
try {
  const { AutoConfig, AutoTokenizer, env } = await import("/transformers.js");
  env.remoteHost = hub + "/";
  env.allowLocalModels = false;
  const tokenizer = await AutoTokenizer.from_pretrained("example/words");
  found.tokens = Array.from(tokenizer.encode("Holdfast keeps the models"));
  found.type = (await AutoConfig.from_pretrained("example/words")).model_type;
  const file = hub + "/example/words/resolve/main/config.json";
  const part = await fetch(file, { headers: { Range: "bytes=1-15", Authorization: "Bearer hf_none" } });
  found.status = part.status;
  found.text = await part.text();
  found.range = part.headers.get("Content-Range");
  found.commit = part.headers.get("X-Repo-Commit");
  found.etag = part.headers.get("ETag");
  const missing = await fetch(hub + "/example/words/resolve/main/none");
  found.missing = [missing.status, missing.headers.get("X-Error-Code")];
} catch (error) {
  found.error = String(error && error.stack || error);
}
await fetch("/found", { method: "POST", body: JSON.stringify(found) });
</script>`;

let tell;
let requested = false;
const told = new Promise((resolve) => (tell = resolve));
const site = createServer(async (request, response) => {
  if (request.url === "/found") {
    let text = "";
    for await (const piece of request) text += piece;
    response.end();
    tell(JSON.parse(text));
  } else if (request.url === "/transformers.js") {
    response.setHeader("Content-Type", "text/javascript");
    response.end(await readFile(library));
  } else if (request.url === "/") {
    requested = true;
    response.setHeader("Content-Type", "text/html");
    response.end(page);
  } else {
    response.statusCode = 404;
    response.end();
  }
});
await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));

const child = startBrowser(process.env.WORK, `http://127.0.0.1:${site.address().port}/`);
let log = "";
child.stderr.on("data", (text) => (log += text));
child.on("exit", () => tell({ nothing: `the browser ended\n${log}` }));
const alarm = setTimeout(() => tell({ nothing: `the browser took longer than 200 s\n${log}` }), 200_000);
const found = await told;
clearTimeout(alarm);
child.removeAllListeners("exit");
await stopBrowser(child);
site.close();
site.closeAllConnections();

// A browser that cannot run here says nothing about the server; one that had the page should have.
if (found.nothing && !requested) skip(found.nothing);
assert.equal(found.nothing, undefined);
assert.equal(found.error, undefined);
assert.deepEqual(found.tokens, [1, 2, 3, 4, 5, 6]);
assert.equal(found.type, "bert");
assert.equal(found.status, 206);
assert.equal(found.text, '"architectures"');
assert.match(found.range, /^bytes 1-15\/\d+$/);
assert.match(found.commit, /^[0-9a-f]{40}$/);
assert.match(found.etag, /^"[0-9a-f]{40}"$/);
assert.deepEqual(found.missing, [404, "EntryNotFound"]);
console.log("ok: a page of another origin loads a tokenizer, and reads ranges and headers");

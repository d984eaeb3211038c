// For scripts that make the requests of clients which cannot be installed here: requests with the given
// headers and no others but Host, Connection and Content-Length, redirects that are not followed,
// repositories to read, and the checks one after another.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import http from "node:http";

export const hubUrl = process.env.HF_ENDPOINT;
export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

// Tokens that llama.cpp and npm's client take for one look like this.
export const bearer = { authorization: "Bearer hf_notneededoverloopback0000000000000000" };

// Bytes that differ everywhere, so that no part can stand for another.
export function bytesOf(count, seed = 1) {
  const bytes = Buffer.alloc(count);
  for (let at = 0, state = seed; at < count; ++at) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

// {status, headers, body}. With `stopAfter` the connection is broken once so many bytes of the body came.
export function send(method, url, headers = {}, { body, stopAfter = Infinity } = {}) {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const request = http.request(url, { method, headers: { ...length, ...headers } }, (response) => {
      const parts = [];
      let came = 0;
      const answer = () => ({
        status: response.statusCode,
        headers: new Headers(Object.entries(response.headers)),
        body: Buffer.concat(parts),
      });
      response.on("data", (part) => {
        parts.push(part);
        came += part.length;
        if (came < stopAfter) return;
        resolve(answer());
        response.destroy();
      });
      response.on("end", () => resolve(answer()));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

// The same with a path of the hub, and JSON both ways.
export async function ask(method, path, body, headers = { ...bearer, "content-type": "application/json" }) {
  const url = path.startsWith("http") ? path : hubUrl + path;
  const raw = typeof body === "string" || body instanceof Uint8Array || body === undefined;
  const answer = await send(method, url, headers, { body: raw ? body : JSON.stringify(body) });
  const json = answer.headers.get("content-type")?.includes("json") && answer.body.length > 0;
  return { ...answer, body: json ? JSON.parse(answer.body) : answer.body.toString() };
}

// The same, and the answer is no refusal.
export async function must(...call) {
  const answer = await ask(...call);
  const said = `${call[0]} ${call[1]}: ${answer.status} ${JSON.stringify(answer.body)}`;
  assert.ok(answer.status >= 200 && answer.status < 300, said);
  return answer;
}

export const ndjson = (lines) => lines.map((line) => JSON.stringify(line)).join("\n") + "\n";

// Commits `files` ({path: bytes}) to main of a model that is made if it is not there; returns the commit.
export async function publish(id, files) {
  const [organization, name] = id.split("/");
  const made = await ask("POST", "/api/repos/create", { name, organization });
  assert.ok([200, 409].includes(made.status), JSON.stringify(made.body));
  const lines = [{ key: "header", value: { summary: "Files", description: "" } }];
  for (const [path, bytes] of Object.entries(files)) {
    lines.push({ key: "file", value: { path, content: Buffer.from(bytes).toString("base64"), encoding: "base64" } });
  }
  const headers = { ...bearer, "content-type": "application/x-ndjson" };
  return (await must("POST", `/api/models/${id}/commit/main`, ndjson(lines), headers)).body.commitOid;
}

export async function runChecks(checks, before = () => {}) {
  for (const [name, check] of Object.entries(checks)) {
    before();
    await check();
    console.log(`ok: ${name}`);
  }
}

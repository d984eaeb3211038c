// npm @huggingface/transformers, unchanged, against the server in HF_ENDPOINT.
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { AutoConfig, AutoTokenizer, env } from "@huggingface/transformers";

env.remoteHost = `${process.env.HF_ENDPOINT}/`;
env.allowLocalModels = false;
env.cacheDir = join(process.env.WORK, "cache");

const repo = "example/words";

const checks = {
  async "loads a configuration"() {
    const config = await AutoConfig.from_pretrained(repo);
    assert.equal(config.model_type, "bert");
  },
  async "loads a tokenizer and tokenizes with it"() {
    const tokenizer = await AutoTokenizer.from_pretrained(repo);
    assert.deepEqual(tokenizer.encode("Holdfast keeps the models"), [1, 2, 3, 4, 5, 6]);
  },
  async "keeps what it fetched, and needs the server no more"() {
    const kept = await readdir(env.cacheDir, { recursive: true });
    assert.ok(kept.some((name) => name.endsWith("tokenizer.json")));
    env.allowRemoteModels = false;
    env.allowLocalModels = true;
    const tokenizer = await AutoTokenizer.from_pretrained(repo);
    assert.deepEqual(tokenizer.encode("nobody"), [0]);
    env.allowRemoteModels = true;
    env.allowLocalModels = false;
  },
  async "says what is missing"() {
    await assert.rejects(AutoConfig.from_pretrained("example/none"));
    await assert.rejects(AutoConfig.from_pretrained(repo, { revision: "none" }));
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log(`ok: ${name}`);
}

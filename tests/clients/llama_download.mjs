// Fetches a GGUF as node-llama-cpp's own downloader does: several ranges at a time, all parts of a split model.
//   llama_download.mjs URI DIRECTORY [ENDPOINT]
// Without ENDPOINT it is what the environment says (MODEL_ENDPOINT, HF_ENDPOINT). Prints the file to load.
import {createModelDownloader} from "node-llama-cpp";

const [modelUri, dirPath, huggingFace] = process.argv.slice(2);
const downloader = await createModelDownloader({
  modelUri,
  dirPath,
  endpoints: huggingFace ? {huggingFace} : undefined,
});
console.log(await downloader.download());
process.exit(0);

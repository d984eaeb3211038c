// A real browser, headless, looks at every page that write_gallery wrote, on a telephone and on a
// desk, by day and by night: nothing scrolls sideways or is cut off, and every text stands out from
// what lies under it. Usage: pages.mjs DIRECTORY; with SHOTS=FOLDER it leaves pictures there.
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { basename, join } from "node:path";

import { skip, startBrowser, stopBrowser } from "./chromium.mjs";

const directory = process.argv[2];
const shots = process.env.SHOTS;

// Says what is wrong with the page as it stands. Runs in the page.
function findProblems(width) {
  const problems = [];
  const named = (element) =>
    `<${element.localName}${element.className ? ` class="${element.className}"` : ""}> ` +
    JSON.stringify(element.textContent.trim().slice(0, 40));
  const all = [...document.body.querySelectorAll("*")];
  const styles = new Map(all.map((element) => [element, getComputedStyle(element)]));
  const shown = all.filter((element) => element.checkVisibility() && !element.closest(".unseen, thead"));

  if (document.documentElement.scrollWidth > width) {
    const wide = shown.filter((element) => element.getBoundingClientRect().right > width + 1);
    problems.push(`scrolls sideways: ${document.documentElement.scrollWidth} > ${width}: ` +
      wide.slice(0, 3).map(named).join(", "));
  }
  for (const element of shown) {
    const style = styles.get(element);
    if (element.scrollWidth <= element.clientWidth + 1 || style.display === "inline") continue;
    const scrolls = ["auto", "scroll"].includes(style.overflowX);
    if (scrolls && !element.closest("pre, .card")) problems.push(`a part scrolls sideways: ${named(element)}`);
    const cut = ["hidden", "clip"].includes(style.overflowX) && style.textOverflow !== "ellipsis";
    if (cut && !["INPUT", "SELECT", "PROGRESS", "METER"].includes(element.tagName)) {
      problems.push(`cut off: ${named(element)}`);
    }
  }

  // WCAG 2.2, "contrast ratio".
  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = colour.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const under = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, alpha = 1] = parts(getComputedStyle(at).backgroundColor);
      if (alpha > 0) return [r, g, b];
    }
    return [255, 255, 255];
  };
  for (const element of shown) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text) continue;
    const style = styles.get(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const pair = [luminance(parts(style.color).slice(0, 3)), luminance(under(element))].sort((a, b) => a - b);
    const ratio = (pair[1] + 0.05) / (pair[0] + 0.05);
    if (ratio < (large ? 3 : 4.5)) problems.push(`contrast ${ratio.toFixed(2)}: ${named(element)}`);
  }
  return problems;
}

const site = createServer(async (request, response) => {
  try {
    const name = basename(request.url);
    const style = name.endsWith(".css");
    response.setHeader("Content-Type", style ? "text/css" : "text/html; charset=utf-8");
    response.end(await readFile(join(directory, style ? name : `${name}.html`)));
  } catch {
    response.statusCode = 404;
    response.end();
  }
});
await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));

const child = startBrowser(directory, "--hide-scrollbars", "about:blank");
let log = "";
const address = await new Promise((resolve) => {
  child.stderr.on("data", (text) => {
    log += text;
    const found = log.match(/DevTools listening on (ws:\S+)/);
    if (found) resolve(found[1]);
  });
  // A browser that cannot run here, or not in time, says nothing about the pages.
  child.on("exit", () => resolve());
  setTimeout(() => resolve(), 120_000).unref();
});
if (!address) {
  await stopBrowser(child);
  skip(`the browser did not start\n${log}`);
}

// The browser's own protocol: numbered questions, their answers, and events.
const socket = new WebSocket(address);
await new Promise((resolve) => (socket.onopen = resolve));
const waiting = new Map();
let loaded = () => {};
let number = 0;
let session;
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.method === "Page.loadEventFired") loaded();
  const answer = waiting.get(message.id);
  waiting.delete(message.id);
  if (answer) message.error ? answer.reject(new Error(message.error.message)) : answer.resolve(message.result);
};
socket.onclose = () => waiting.forEach((answer) => answer.reject(new Error("the browser went away")));
const ask = (method, params = {}) =>
  new Promise((resolve, reject) => {
    waiting.set(++number, { resolve, reject });
    socket.send(JSON.stringify({ id: number, method, params, sessionId: session }));
  });

const { targetId } = await ask("Target.createTarget", { url: "about:blank" });
session = (await ask("Target.attachToTarget", { targetId, flatten: true })).sessionId;
await ask("Page.enable");

const sights = [390, 1280].flatMap((width) => ["light", "dark"].map((scheme) => ({ width, scheme })));
const pages = (await readdir(directory)).filter((name) => name.endsWith(".html")).map((name) => name.slice(0, -5));
if (shots) await mkdir(shots, { recursive: true });
let bad = 0;
for (const page of pages.sort()) {
  const there = new Promise((resolve) => (loaded = resolve));
  await ask("Page.navigate", { url: `http://127.0.0.1:${site.address().port}/${page}` });
  await there;
  for (const { width, scheme } of sights) {
    await ask("Emulation.setDeviceMetricsOverride", { width, height: 844, deviceScaleFactor: 1, mobile: false });
    await ask("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    const { result } = await ask("Runtime.evaluate", {
      expression: `(${findProblems})(${width})`, returnByValue: true });
    if (result.subtype === "error") throw new Error(result.description);
    for (const problem of result.value) console.log(`${page}, ${width} px, ${scheme}: ${problem}`);
    bad += result.value.length;
    if (!shots) continue;
    const { data } = await ask("Page.captureScreenshot", { captureBeyondViewport: true });
    await writeFile(join(shots, `${page}-${width}-${scheme}.png`), Buffer.from(data, "base64"));
  }
}
socket.onclose = null;
console.log(bad ? `${bad} problems` : `ok: ${pages.length} pages, each in ${sights.length} sights`);
await stopBrowser(child);
process.exit(bad || pages.length === 0 ? 1 : 0);

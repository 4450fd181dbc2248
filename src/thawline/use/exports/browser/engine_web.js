"use strict";
/* Pictures -> rows, computed in this browser. `WEB` says which files the folder has, with their lengths and hashes: each
   is fetched once, compared with its hash, and kept, so that the page opens without a network from then on. */
const engine = (() => {
  const WEB = %WEB%;
  const SCOPE = new URL(".", location.href).pathname;
  const CACHE = `thawline ${SCOPE} ${WEB.version}`;
  const MAX_BYTES = 256e6;
  const waiting = new Map();
  let worker = null, number = 0;

  const mega = bytes => (bytes / 1e6).toFixed(1);

  /* A file of the folder from the cache or the host, its hash compared; `count` hears of every byte. */
  async function fetched(file, kept, count) {
    const stored = kept && await kept.match(file.path);
    if (stored) {
      const content = await stored.arrayBuffer();
      if (await isRight(content, file)) { count(content.byteLength); return content; }
      await kept.delete(file.path);
    }
    let response;
    try { response = await fetch(file.path, {cache: "no-cache"}); } catch { throw new Error(`${file.path} cannot be loaded: the host does not answer. Load the page again.`); }
    if (!response.ok) throw new Error(`${file.path} cannot be loaded: the host answers with status ${response.status}. Copy the folder there again, whole.`);
    const content = await counted(response, file, count);
    if (!await isRight(content, file)) throw new Error(`${file.path} is not the file that was exported: it was changed or cut off on its way. Copy the folder there again, whole.`);
    if (kept) {
      const headers = {"Content-Type": file.mime, "Content-Length": String(content.byteLength)};
      try { await kept.put(file.path, new Response(content, {headers})); } catch { kept = null; }  // no room: it works, online only
    }
    return content;
  }

  async function counted(response, file, count) {
    if (!response.body) { const all = await response.arrayBuffer(); count(all.byteLength); return all; }
    const reader = response.body.getReader(), parts = [];
    let length = 0;
    for (let part; !(part = await reader.read()).done;) {
      length += part.value.length;
      if (length > file.bytes) { await reader.cancel(); break; }
      parts.push(part.value);
      count(part.value.length);
    }
    return new Blob(parts).arrayBuffer();
  }

  async function isRight(content, file) {
    if (content.byteLength !== file.bytes) return false;
    if (!globalThis.crypto?.subtle) return true;  // an address without https: lengths are all that can be compared
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
    return [...digest].map(value => value.toString(16).padStart(2, "0")).join("") === file.sha256;
  }

  function tell(kind, given, moved = []) {
    number += 1;
    worker.postMessage({id: number, kind, given}, moved);
    return new Promise((resolve, reject) => waiting.set(number, {resolve, reject}));
  }

  function start(address) {
    worker = new Worker(address, {type: "module", name: "thawline"});
    worker.onmessage = ({data: {id, answer, error}}) => {
      const {resolve, reject} = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) resolve(answer); else reject(new Error(error));
    };
    worker.onerror = event => {
      const reason = event.message ? ` (${event.message})` : "";
      for (const {reject} of waiting.values()) reject(new Error(`the part of the page that computes has stopped${reason}. Load the page again, with fewer or smaller pictures.`));
      waiting.clear();
      worker = null;
    };
  }

  /* From here on the folder opens without a network; older versions of it are forgotten. */
  async function keep(kept) {
    if (!kept) return;
    try {
      for (const page of ["./", "index.html"]) {
        const response = await fetch(page, {cache: "no-cache"});
        if (response.ok) await kept.put(page, response);
      }
      for (const name of await caches.keys()) if (name.startsWith(`thawline ${SCOPE} `) && name !== CACHE) await caches.delete(name);
      await navigator.serviceWorker.register("sw.js", {updateViaCache: "none"});
    } catch { /* it works, online only */ }
  }

  async function opened(onProgress) {
    if (location.protocol === "file:") throw new Error("A browser does not load a model from a file on the disk. Run `python -m http.server` in this folder and open http://localhost:8000.");
    if (!globalThis.Worker || !globalThis.WebAssembly || !globalThis.OffscreenCanvas) throw new Error("This browser is too old to compute answers. Use a current Firefox, Chrome, Edge or Safari.");
    const kept = globalThis.caches && navigator.serviceWorker ? await caches.open(CACHE).catch(() => null) : null;
    const total = WEB.files.reduce((sum, file) => sum + file.bytes, 0), contents = {};
    let loaded = 0;
    for (const file of WEB.files) {
      contents[file.role] = await fetched(file, kept, bytes => {
        loaded += bytes;
        onProgress(loaded / total, loaded < total ? `Loading the model: ${mega(loaded)} of ${mega(total)} MB` : "Starting the model …");
      });
    }
    start(WEB.files.find(file => file.role === "worker").path);
    const {wasm, model} = contents;
    const {threads, alters_pictures} = await tell("open", {wasm, model, facts: WEB.facts}, [wasm, model]);
    keep(kept);
    const {class_names, words, preparation} = WEB.facts;
    const facts = {class_names, words, keeps_unsure: "Your pictures stay in this browser: none is sent anywhere or kept", limits: {max_request_bytes: MAX_BYTES, max_megapixels: preparation.max_megapixels}};
    if (alters_pictures) facts.drift = "This browser changes pictures before pages can read them, to protect you from being recognised. Answers may differ a little from those of the same model elsewhere.";
    engine.threads = threads;
    return facts;
  }

  return {
    name: "browser",
    facts: null,
    failure: null,
    async ready(onProgress = () => {}) {
      try {
        engine.facts = await opened(onProgress);
        return engine.facts;
      } catch (error) {
        engine.failure = error.message;
        throw error;
      }
    },
    async ask(files, onRow, {signal} = {}) {
      for (const [index, file] of files.entries()) {
        if (signal?.aborted) throw new DOMException("", "AbortError");
        onRow(index, await answered(file));
      }
    },
    /* For tests: the pixels that the graph gets. */
    async picture(file) {
      const bytes = await file.arrayBuffer();
      return tell("picture", {bytes}, [bytes]);
    },
  };

  async function answered(file) {
    if (file.size > MAX_BYTES) return {path: file.name, error: `the file has ${mega(file.size)} MB, over the ${mega(MAX_BYTES)} allowed here`};
    let bytes;
    try { bytes = await file.arrayBuffer(); } catch { return {path: file.name, error: "the file cannot be read: it was moved or changed"}; }
    try {
      if (!worker) throw new Error("the part of the page that computes has stopped. Load the page again.");
      return await tell("row", {name: file.name, bytes}, [bytes]);
    } catch (error) {
      return {path: file.name, error: error.message};
    }
  }
})();

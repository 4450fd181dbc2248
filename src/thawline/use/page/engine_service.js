
"use strict";
/* Pictures -> rows, from the service that this page came from. A few requests are in flight, each with a few pictures
   within the service's limits; where it is busy, it is asked again when it says. */
const engine = (() => {
  const IN_FLIGHT = 2, PICTURES = 4, BYTES = 8 << 20, FORM_BYTES = 1000, MAX_WAIT_S = 60, MAX_WAITED_S = 900, RETRIES = 3;
  let limits = {max_pictures: 32, max_request_bytes: 32 << 20, max_megapixels: 50};

  const size = bytes => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0) + " MB";
  const headers = () => engine.token ? {Authorization: "Bearer " + engine.token.trim()} : {};
  const failed = (file, error) => ({path: file.name, error});

  function sleep(seconds, signal) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, 1000 * seconds);
      if (signal) signal.addEventListener("abort", () => { clearTimeout(timer); reject(new DOMException("", "AbortError")); }, {once: true});
    });
  }

  /* The reply to a request, once the service is not busy: {status, body}. */
  async function request(place, options, {signal, onWait} = {}) {
    let waited = 0, tries = 0;
    for (;;) {
      let response;
      try {
        response = await fetch(place, {...options, headers: headers(), signal});
      } catch (error) {
        if (error.name === "AbortError") throw error;
        if (++tries >= RETRIES) return {status: 0, body: {detail: "the service does not answer"}};
        await sleep(tries, signal);
        continue;
      }
      if (response.status === 503 && waited < MAX_WAITED_S) {
        const seconds = Math.min(Math.max(Number(response.headers.get("retry-after")) || 2, 0.1), MAX_WAIT_S);
        if (onWait) onWait(seconds);
        waited += seconds;
        await sleep(seconds * (1 + Math.random() / 4), signal);
        continue;
      }
      let body = null;
      try { body = await response.json(); } catch (error) { if (error.name === "AbortError") throw error; }
      return {status: response.status, body: body || {}};
    }
  }

  const reason = ({status, body}) => typeof body.detail === "string" ? body.detail : `the service refused it (status ${status})`;

  function form(files) {
    const data = new FormData();
    for (const file of files) data.append("pictures", file, file.name.split("/").pop() || "picture");
    return data;
  }

  const isThere = file => file.slice(0, 1).arrayBuffer().then(() => true, () => false);

  /* Rows of a few pictures; a request that is refused as a whole is asked again in halves. */
  async function rowsOf(files, more) {
    if (!files.length) return [];
    const reply = await request("predict", {method: "POST", body: form(files)}, more);
    const rows = reply.body.predictions;
    if (Array.isArray(rows) && rows.length === files.length) return rows.map((row, at) => ({...row, path: files[at].name}));
    if (files.length > 1 && (reply.status === 400 || reply.status === 413)) {
      const middle = files.length >> 1;
      return [...await rowsOf(files.slice(0, middle), more), ...await rowsOf(files.slice(middle), more)];
    }
    const there = reply.status === 0 ? await Promise.all(files.map(isThere)) : [];
    if (there.includes(false)) {  // a browser says of a file that is gone what it says of a service that is
      const left = await rowsOf(files.filter((_, at) => there[at]), more);
      return files.map((file, at) => there[at] ? left.shift() : failed(file, "the file cannot be read any more"));
    }
    return files.map(file => failed(file, reply.status === 401 ? "the token is not right any more: load the page again" : reason(reply)));
  }

  const tooLarge = file => file.size > limits.max_request_bytes - FORM_BYTES;
  const largeWords = file => `the file is too large for the service: ${size(file.size)}, it takes ${Math.floor(limits.max_request_bytes / 1e6)} MB`;

  function batches(files) {
    const found = [];
    let now = null, bytes = 0;
    files.forEach((file, index) => {
      const add = file.size + FORM_BYTES;
      const most = Math.min(PICTURES, limits.max_pictures), room = Math.min(BYTES, limits.max_request_bytes);
      if (!now || now.length >= most || bytes + add > room) { found.push(now = []); bytes = 0; }
      now.push({file, index});
      bytes += add;
    });
    return found;
  }

  async function one(place, file, more) {
    if (tooLarge(file)) throw new Error(largeWords(file));
    const reply = await request(place, {method: "POST", body: form([file])}, more);
    if (reply.status !== 200) throw new Error(reason(reply));
    return reply.body;
  }

  return {
    name: "service",
    token: "",
    async ready() {
      const reply = await request("health", {cache: "no-store"});
      if (reply.status === 401) return {needs_token: engine.token ? "wrong" : "missing"};
      if (reply.status !== 200) throw new Error(reason(reply));
      limits = {...limits, ...reply.body.limits};
      return reply.body;
    },
    async ask(files, onRow, more = {}) {
      const fitting = [];
      files.forEach((file, index) => tooLarge(file) ? onRow(index, failed(file, largeWords(file))) : fitting.push(index));
      const queue = batches(fitting.map(index => files[index]));
      const work = async () => {
        for (let batch; (batch = queue.shift());) {
          const rows = await rowsOf(batch.map(({file}) => file), more);
          batch.forEach(({index}, at) => onRow(fitting[index], rows[at]));
        }
      };
      await Promise.all(Array.from({length: IN_FLIGHT}, work));
    },
    looks: (file, more) => one("looks", file, more),
    async neighbours(file, more) { return (await one("neighbours", file, more)).neighbours; },
    async notes() {
      const reply = await request("health", {cache: "no-store"});
      return reply.status === 200 ? reply.body : {};
    },
  };
})();

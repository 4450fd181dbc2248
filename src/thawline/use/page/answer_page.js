
"use strict";
(() => {
const LEAST = 3, MOST = 5, PAGE_SIZE = 60, CHUNK = 64, MAX_FILES = 5000, MANY_CLASSES = 12, MAP_PX = 720, SAY_MS = 2000;
const DOUBTS = {"none of these": "None of these", "not sure": "Not sure"};
const EXTENSIONS = /\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|hei[cf]|avif|p[bgp]m|pnm)$/i;
const HEAT = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]];
const $ = id => document.getElementById(id);
let facts = null, early = [], items = [], shownMost = PAGE_SIZE, isAsking = false, stopping = new AbortController(), waitingUntil = 0;
let pastedCount = 0, takenCount = 0, saidAt = 0, sayTimer = 0, serial = 0;

/* ---- words ---- */

function add(parent, tag, text, className) {
  const element = parent.appendChild(document.createElement(tag));
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

/* A name of a class, which may break behind its underscores, hyphens and slashes. */
function name(parent, tag, text, className) {
  const element = add(parent, tag, undefined, className);
  for (const part of text.split(/(?<=[_\-/.])/)) element.append(part, document.createElement("wbr"));
  return element;
}

const counted = (count, one, many = one + "s") => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
const percent = share => share < 0.0005 ? "< 0.1 %" : share > 0.9995 && share < 1 ? "> 99.9 %" : (100 * share).toFixed(1) + " %";
const heading = row => row.error ? "No answer" : row.abstained ? DOUBTS[row.doubt] || "Not sure" : row.label;
const sentence = text => text ? text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".") : "";

function say(text, isUrgent = true) {
  clearTimeout(sayTimer);
  const wait = isUrgent ? 0 : Math.max(0, saidAt + SAY_MS - Date.now());
  sayTimer = setTimeout(() => { saidAt = Date.now(); $("status").textContent = text; }, wait);
}

function said(row) {
  if (row.error) return `${row.path}: no answer. ${sentence(row.error)}`;
  return row.abstained ? `${row.path}: ${heading(row)}, most like ${row.label}.` : `${row.path}: ${row.label}, ${percent(row.probability)} sure.`;
}

/* ---- the cards ---- */

const thumbs = new IntersectionObserver(entries => {
  for (const {target, isIntersecting} of entries) isIntersecting ? showThumb(target) : hideThumb(target);
}, {rootMargin: "800px"});

function showThumb(shot) {
  if (shot.firstElementChild) return;
  const image = document.createElement("img"), url = URL.createObjectURL(shot.item.file);
  image.alt = "";
  image.decoding = "async";
  image.onload = image.onerror = event => {
    URL.revokeObjectURL(url);
    if (event.type === "error") { image.remove(); shot.textContent = "This browser cannot show it."; thumbs.unobserve(shot); }
  };
  image.src = url;
  shot.replaceChildren(image);
}

function hideThumb(shot) {
  const image = shot.querySelector("img");
  if (!image) return;
  image.onload = image.onerror = null;
  if (!image.complete) URL.revokeObjectURL(image.src);
  image.remove();
}

function cardOf(item) {
  const card = item.card = document.createElement("li");
  const shot = add(card, "div", undefined, "shot");
  shot.item = item;
  item.told = add(card, "div", undefined, "told");
  thumbs.observe(shot);
  tell(item);
  return card;
}

function tell(item) {
  const {card, told, row} = item;
  if (!card) return;
  const held = told.contains(document.activeElement) && document.activeElement.className;
  told.replaceChildren();
  card.className = "card" + (!row ? " waiting" : row.error ? " failed" : row.abstained ? " doubt" : "");
  name(told, "h3", row ? heading(row) : "Waiting for its turn …");
  if (row && !row.error && !row.abstained) add(told, "p", `${percent(row.probability)} sure`, "how");
  if (row && row.error) add(told, "p", sentence(row.error), "error");
  add(told, "p", item.name, "file").title = item.name;
  if (row && row.remark) add(told, "p", sentence(row.remark), "remark");
  if (row && !row.error) {
    if (row.abstained) add(told, "p", "This is no answer. It looks most like:", "like");
    bars(told, row);
  }
  actions(item);
  if (held) { const again = [...told.querySelectorAll("button")].find(one => one.className === held); if (again) again.focus(); }
}

function bars(told, row) {
  const list = add(told, "ul", undefined, "rows");
  const ranked = Object.entries(row.probabilities).sort((a, b) => b[1] - a[1]);
  for (const [label, share] of ranked.filter((one, place) => place < LEAST || (!row.abstained && place < MOST && one[1] >= 0.0005))) {
    const line = add(list, "li", undefined, "row");
    add(line, "span", label, "name").title = label;
    add(line, "span", percent(share), "share");
    add(add(line, "span", undefined, "bar"), "i").style.width = (100 * share).toFixed(1) + "%";
  }
}

function actions(item) {
  const {told, row} = item, place = document.createElement("p");
  place.className = "do";
  const act = (text, className, run) => {
    const button = add(place, "button", text, className);
    button.type = "button";
    add(button, "span", " of " + item.name, "out");
    button.onclick = () => run(button);
  };
  if (row && !row.error) {
    act("Copy label", "copy", button => copy(row.abstained ? heading(row) : row.label, button));
    if (can("looks")) act("What it looked at", "look", () => openLooks(item));
    if (can("neighbours")) act("Training pictures like it", "alike", button => showNeighbours(item, button));
  } else if (row) {
    act("Try again", "again", () => { item.row = null; tell(item); $("found-title").focus(); pump(); count(); });
  }
  if (place.firstChild) told.append(place);
  const away = add(told, "button", "✕", "away");
  away.type = "button";
  away.setAttribute("aria-label", "Remove " + item.name);
  away.onclick = () => remove(item);
}

const can = what => facts && facts[what] !== false && typeof engine[what] === "function" && (facts[what] || engine.name !== "service");

async function copy(text, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = add(document.body, "textarea", text, "out");
    area.select();
    done = document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const words = button.firstChild, before = "Copy label";
  words.textContent = done ? "Copied" : "It cannot be copied here";
  say(done ? `Copied: ${text}` : words.textContent);
  setTimeout(() => { words.textContent = before; }, 2000);
}

async function showNeighbours(item, button) {
  button.disabled = true;
  item.near = item.near || add(item.card, "div", undefined, "near");
  item.near.textContent = "Looking them up …";
  try {
    const found = await engine.neighbours(item.file);
    item.near.replaceChildren();
    add(item.near, "h4", `The ${found.length} training pictures most like it`);
    const list = add(item.near, "ul");
    for (const {label, similarity, picture} of found) {
      const one = add(list, "li"), image = add(one, "img");
      image.alt = "";
      image.src = picture;
      name(one, "span", label);
      if (Number.isFinite(similarity)) add(one, "small", `likeness ${similarity.toFixed(2)}`);
    }
    say(`The training pictures most like ${item.name} are of ${found.map(({label}) => label).join(", ")}.`);
  } catch (error) {
    item.near.textContent = sentence(error.message);
    say(item.near.textContent);
    button.disabled = false;
  }
}

/* ---- the list ---- */

function addFiles(files) {
  if (!facts) { early.push(...files); return; } // they are asked for once the model is known
  if (!files.length) return;
  const room = MAX_FILES - items.length;
  if (files.length > room) say(`Only ${counted(room, "more picture")} fit on this page.`);
  const fresh = [...files].slice(0, Math.max(0, room)).map(file => ({file: file.file || file, name: file.name || "picture", row: null, id: ++serial}));
  items = [...fresh, ...items];
  $("found").hidden = !items.length;
  $("drop").classList.toggle("small", items.length > 0);
  $("answers").prepend(...fresh.slice(0, shownMost).map(cardOf));
  trim();
  count();
  pump();
}

/* Keep as many cards as are shown, and say how many there are besides. */
function trim() {
  const list = $("answers");
  for (const item of items.slice(shownMost)) if (item.card) { forget(item); }
  for (const item of items.slice(list.childElementCount, shownMost)) list.append(cardOf(item));
  const rest = items.length - shownMost;
  $("more").hidden = rest <= 0;
  $("more").textContent = `Show ${Math.min(rest, PAGE_SIZE)} more of ${rest.toLocaleString("en")}`;
}

function forget(item) {
  const shot = item.card.querySelector(".shot");
  thumbs.unobserve(shot);
  hideThumb(shot);
  item.card.remove();
  item.card = item.told = item.near = null;
}

function remove(item) {
  const at = items.indexOf(item);
  items.splice(at, 1);
  if (item.card) forget(item);
  trim();
  count();
  const next = items[Math.min(at, items.length - 1)];
  const focus = next && next.card && next.card.querySelector(".away");
  (focus || $("files")).focus();
  if (!items.length) empty();
}

function clear() {
  stopping.abort();
  stopping = new AbortController();
  for (const item of items) if (item.card) forget(item);
  items = [];
  shownMost = PAGE_SIZE;
  empty();
  $("files").focus();
  say("All pictures are cleared.");
}

function empty() {
  $("found").hidden = true;
  $("drop").classList.remove("small");
  trim();
}

function count() {
  const done = items.filter(({row}) => row), progress = $("progress");
  const tally = test => done.filter(({row}) => test(row)).length;
  const waits = Math.ceil((waitingUntil - Date.now()) / 1000), isDone = done.length === items.length;
  const odd = [
    [tally(row => row.doubt === "none of these"), "none of these"],
    [tally(row => row.abstained && row.doubt !== "none of these"), "not sure"],
    [tally(row => row.error), "without an answer"],
  ].filter(([many]) => many).map(([many, what]) => `${many.toLocaleString("en")} ${what}`);
  const head = isDone ? counted(items.length, "picture") : `${done.length.toLocaleString("en")} of ${counted(items.length, "picture")}`;
  const text = [head, ...odd].join(" · ") + (waits > 0 && !isDone ? ` · the service is busy, asking again in ${waits} s` : "");
  $("count").textContent = text;
  progress.hidden = isDone;
  progress.max = items.length || 1;
  progress.value = done.length;
  $("csv").disabled = !done.length;
  return {isDone, text};
}

/* ---- asking ---- */

async function pump() {
  if (isAsking) return;
  isAsking = true;
  let answered = [];
  try {
    for (;;) {
      const chunk = items.filter(({row}) => !row).sort((a, b) => a.id - b.id).slice(0, CHUNK);
      if (!chunk.length) break;
      const {signal} = stopping;
      const onWait = seconds => {
        waitingUntil = Date.now() + 1000 * seconds;
        say(count().text, false);
      };
      const onRow = (index, row) => {
        if (signal.aborted) return;
        const item = chunk[index];
        item.row = {...row, path: item.name};
        waitingUntil = 0;
        tell(item);
        answered.push(item);
        const {isDone, text} = count();
        say(answered.length === 1 && isDone ? said(item.row) : text, isDone);
      };
      try {
        await engine.ask(chunk.map(({file}) => file), onRow, {signal, onWait});
      } catch (error) {
        if (!signal.aborted) chunk.forEach((item, index) => { if (!item.row) onRow(index, {path: item.name, error: error.message}); });
      }
      if (signal.aborted) answered = [];
      else chunk.forEach((item, index) => { if (!item.row) onRow(index, {path: item.name, error: "there was no answer to it"}); });
    }
  } finally { isAsking = false; }
  if (typeof engine.notes === "function" && items.length) {
    try { notes(await engine.notes()); } catch { /* what was told before still stands */ }
  }
}

setInterval(() => { if (waitingUntil > Date.now()) count(); }, 1000);

/* ---- CSV, as `thawline predict --csv` writes it ---- */

const RUNS = /^['\s\x1c-\x1f\x85]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/, NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

function cell(value) {
  let text = value === null || value === undefined ? "" : String(value);
  if (RUNS.test(text) && !NUMBER.test(text)) text = "'" + text;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function distinct(names, taken) {
  const fold = text => text.toUpperCase().toLowerCase(), others = new Set(taken.map(fold));
  const used = new Set(names.filter(name => !others.has(fold(name))));
  return names.map(name => {
    let head = name;
    while (others.has(fold(head)) || (head !== name && used.has(head))) head = "class " + head;
    used.add(head);
    return head;
  });
}

function csvText() {
  const first = ["path", "label", "probability"], last = ["error", "abstained", "outside", "doubt", "remark"], names = facts.class_names;
  const lines = [[...first, ...distinct(names, [...first, ...last]), ...last]];
  for (const {row} of [...items].filter(({row}) => row).sort((a, b) => a.id - b.id)) {
    const shares = row.error ? {} : row.probabilities;
    lines.push([row.path, row.label, row.probability, ...names.map(name => Object.hasOwn(shares, name) ? shares[name] : ""), row.error,
      row.error ? "" : String(row.abstained), row.outside, row.doubt, row.remark]);
  }
  return lines.map(line => line.map(cell).join(",") + "\n").join("");
}

function download() {
  const url = URL.createObjectURL(new Blob([csvText()], {type: "text/csv;charset=utf-8"})), link = document.createElement("a");
  link.href = url;
  link.download = "predictions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
  say(`${counted(items.filter(({row}) => row).length, "row")} as predictions.csv.`);
}

/* ---- ways in ---- */

function isTyping(target) {
  return target instanceof HTMLInputElement && target.type !== "file";
}

async function dropped(transfer) {
  const entries = [...transfer.items].filter(({kind}) => kind === "file").map(one => one.webkitGetAsEntry ? one.webkitGetAsEntry() : null);
  if (!entries.some(entry => entry && entry.isDirectory)) return [...transfer.files];
  const found = [];
  const visit = async (entry, isNamed) => {
    if (!entry || found.length > MAX_FILES) return;
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      if (isNamed || file.type.startsWith("image/") || EXTENSIONS.test(file.name)) found.push({file, name: entry.fullPath.replace(/^\//, "")});
      return;
    }
    const reader = entry.createReader();
    for (let some; (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length;) {
      for (const one of some) await visit(one, false);
    }
  };
  say("Looking for pictures in the folder …");
  for (const entry of entries) await visit(entry, true);
  if (!found.length) say("There is no picture in the folder.");
  return found.sort((a, b) => a.name < b.name ? -1 : 1);
}

const hasFiles = event => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
let leaving = 0;
for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, event => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    clearTimeout(leaving);
    event.dataTransfer.dropEffect = facts ? "copy" : "none";
    $("over").hidden = !facts;
  });
}
addEventListener("dragleave", () => { clearTimeout(leaving); leaving = setTimeout(() => { $("over").hidden = true; }, 100); });
addEventListener("drop", async event => {
  $("over").hidden = true;
  if (!hasFiles(event)) return;
  event.preventDefault();
  try { addFiles(await dropped(event.dataTransfer)); } catch { say("What was dropped cannot be read."); }
});
addEventListener("paste", event => {
  const files = [...(event.clipboardData ? event.clipboardData.files : [])];
  if (files.length) {
    event.preventDefault();
    addFiles(files.map(file => {
      const isUnnamed = !file.name || /^image\.\w+$/.test(file.name);
      return {file, name: isUnnamed ? `pasted ${++pastedCount}.${(file.type.split("/")[1] || "png").replace(/\W.*/, "")}` : file.name};
    }));
  } else if (facts && !isTyping(event.target)) say("There is no picture to paste.");
});
for (const id of ["files", "photo-file"]) $(id).onchange = event => { addFiles([...event.target.files]); event.target.value = ""; };

/* ---- the camera ---- */

let stream = null, cameras = [], facing = "environment", camera = "";

async function startCamera() {
  stopCamera();
  $("shoot").disabled = true;
  $("camera-said").textContent = "Asking for the camera …";
  try {
    const video = camera ? {deviceId: {exact: camera}} : {facingMode: facing};
    const opened = await navigator.mediaDevices.getUserMedia({video: {...video, width: {ideal: 1920}, height: {ideal: 1080}}, audio: false});
    if (!$("camera-view").open) { opened.getTracks().forEach(track => track.stop()); return; }
    stream = opened;
    $("video").srcObject = stream;
    await $("video").play();
    cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({kind}) => kind === "videoinput");
    $("turn").hidden = cameras.length < 2;
    $("camera-said").textContent = "";
    $("shoot").disabled = false;
    $("shoot").focus();
  } catch (error) {
    const words = {
      NotAllowedError: "The camera is not allowed. Allow it in the address bar of the browser, or choose a picture.",
      NotFoundError: "There is no camera here. Choose a picture instead.",
      NotReadableError: "Another program uses the camera. Close it, and try again.",
    };
    offerPhoto(true);
    $("camera-said").textContent = words[error.name] || "The camera cannot be used here. Choose a picture instead.";
  }
}

function stopCamera() {
  if (stream) stream.getTracks().forEach(track => track.stop());
  stream = $("video").srcObject = null;
}

function shoot() {
  const video = $("video"), canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob(blob => {
    $("camera-view").close();
    if (blob) addFiles([new File([blob], `camera ${++takenCount}.jpg`, {type: "image/jpeg"})]);
  }, "image/jpeg", 0.95);
}

function nextCamera() {
  const now = stream ? stream.getVideoTracks()[0].getSettings().deviceId : "";
  camera = cameras[(cameras.findIndex(({deviceId}) => deviceId === now) + 1) % cameras.length].deviceId;
  startCamera();
}

/* What phones have instead: their own camera program. */
function offerPhoto(isOffered) {
  $("photo").hidden = !isOffered;
  $("photo-file").disabled = $("photo-file").hidden = !isOffered;
}

function offerCamera() {
  const canStream = Boolean(navigator.mediaDevices && navigator.mediaDevices.getUserMedia), isPhone = matchMedia("(hover:none) and (pointer:coarse)").matches;
  $("camera").hidden = !canStream;
  offerPhoto(isPhone && !canStream);
}

/* ---- what it looked at ---- */

let looked = null;

async function openLooks(item) {
  const view = $("looks-view"), canvas = $("map"), mine = looked = {item, heat: null, image: null};
  $("bare").setAttribute("aria-pressed", "false");
  $("bare").disabled = true;
  $("scale").hidden = true;
  $("looks-said").textContent = "Covering one part of the picture after the other …";
  canvas.width = canvas.height = 1;
  view.showModal();
  try { mine.image = await createImageBitmap(item.file); } catch { mine.image = null; }
  if (looked !== mine) return;
  paint();
  try {
    mine.heat = item.heat = item.heat || await engine.looks(item.file);
    if (looked !== mine) return;
    paint();
    $("bare").disabled = $("scale").hidden = false;
    $("looks-said").textContent = looksWords(mine.heat);
  } catch (error) {
    if (looked === mine) $("looks-said").textContent = sentence(error.message);
  }
}

function looksWords({label, rows, probability, least}) {
  if (!Math.max(...rows.flat())) return `Whatever part of the picture is covered, the model still says ${label}: it looks at no part in particular.`;
  const most = typeof least === "number" ? ` With one part covered it is at least ${percent(least)} sure, with none ${percent(probability)}.` : "";
  return `Bright places speak for ${label}: with them covered, the model is less sure of it.${most}`;
}

/* The heat at a place of the model's square, in 0…1, between the middles of its cells. */
function heatAt(rows, across, down) {
  const side = rows.length, x = Math.min(Math.max(across * side - 0.5, 0), side - 1), y = Math.min(Math.max(down * side - 0.5, 0), side - 1);
  const left = Math.floor(x), top = Math.floor(y), right = Math.min(left + 1, side - 1), bottom = Math.min(top + 1, side - 1);
  const upper = rows[top][left] + (x - left) * (rows[top][right] - rows[top][left]);
  const lower = rows[bottom][left] + (x - left) * (rows[bottom][right] - rows[bottom][left]);
  return (upper + (y - top) * (lower - upper)) / 255;
}

function paint() {
  const {item, heat, image} = looked, canvas = $("map");
  const size = image ? [image.width, image.height] : [MAP_PX, MAP_PX];
  const scale = Math.min(2, MAP_PX / Math.max(...size));
  const [width, height] = [canvas.width, canvas.height] = size.map(side => Math.max(1, Math.round(side * scale)));
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.fillStyle = "#888";
  context.fillRect(0, 0, width, height);
  if (image) context.drawImage(image, 0, 0, width, height);
  const isBare = $("bare").getAttribute("aria-pressed") === "true";
  canvas.setAttribute("aria-label", heat && !isBare ? `${item.name}, with what speaks for ${heat.label} bright` : item.name);
  if (!heat || isBare) return;
  const pixels = context.getImageData(0, 0, width, height), data = pixels.data, [l, t, r, b] = heat.box;
  for (let y = 0, at = 0; y < height; y++) {
    const down = ((y + 0.5) / height - t) / (b - t);
    for (let x = 0; x < width; x++, at += 4) {
      const across = ((x + 0.5) / width - l) / (r - l), grey = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
      const isSeen = across >= 0 && across <= 1 && down >= 0 && down <= 1;
      const value = isSeen ? heatAt(heat.rows, across, down) : 0, share = 0.7 * value, step = Math.min(value * (HEAT.length - 1), HEAT.length - 1.001);
      const low = HEAT[Math.floor(step)], high = HEAT[Math.floor(step) + 1], part = step - Math.floor(step);
      for (let c = 0; c < 3; c++) data[at + c] = isSeen ? (1 - share) * grey + share * (low[c] + part * (high[c] - low[c])) : 0.4 * grey;
    }
  }
  context.putImageData(pixels, 0, 0);
}

/* ---- the model ---- */

function notes({keeps_unsure, drift}) {
  const line = typeof drift === "string" ? drift : drift && typeof drift.words === "string" ? drift.words : "";
  $("notes").hidden = !line;
  $("notes").textContent = sentence(line);
  $("keeps").hidden = !keeps_unsure;
  $("keeps").textContent = typeof keeps_unsure === "string" ? sentence(keeps_unsure) :
    "Pictures on which the model is not sure, or that look like none of its classes, are kept by whoever runs this service, to be labelled and learned from. The others are not kept.";
}

function classes() {
  const names = facts.class_names, many = names.length > MANY_CLASSES, wanted = $("search").value.trim().toLowerCase();
  const found = names.filter(name => name.toLowerCase().includes(wanted));
  $("search-line").hidden = !many;
  $("class-count").textContent = counted(names.length, "class", "classes") + ": " + names.slice(0, 3).join(", ") + (names.length > 3 ? ", …" : "");
  $("search-count").textContent = many && wanted ? `${counted(found.length, "class", "classes")} of ${names.length.toLocaleString("en")}` : "";
  $("classes").replaceChildren(...found.slice(0, 2000).map(name => { const one = document.createElement("li"); one.textContent = name; return one; }));
}

function about() {
  const words = typeof facts.words === "string" ? {model: facts.words} : facts.words || {}, list = $("words");
  $("model").textContent = words.model || `This model tells ${counted(facts.class_names.length, "class", "classes")} of pictures apart.`;
  list.replaceChildren();
  const tell = (name, text) => { if (text) { add(list, "dt", name); add(list, "dd", text); } };
  tell("How sure it is", words.sure || "The percentages say how sure the model is; over all classes they add up to 100 %.");
  tell("“None of these”", words.none_of_these);
  tell("“Not sure”", words.not_sure);
  if (can("looks")) tell("“What it looked at”", "One part of the picture after the other is covered. Where the model is less sure of its answer then, the map is bright.");
  if (can("neighbours")) tell("“Training pictures like it”", "Those of the pictures that the model learned from that look most like yours to it. They came with the model.");
  tell("For experts", words.technical);
  const {max_pictures, max_request_bytes, max_megapixels} = facts.limits || {};
  const most = [max_request_bytes && `${Math.floor(max_request_bytes / 1e6)} MB`, max_megapixels && `${max_megapixels} megapixels`].filter(Boolean);
  $("limits").textContent = most.length ? `Up to ${most.join(" and ")} a picture, as many as you like` : "";
  classes();
  notes(facts);
  $("about").hidden = false;
}

async function greet() {
  const loading = $("loading");
  try {
    const found = await engine.ready((share, words) => {
      loading.hidden = share >= 1;
      loading.value = share;
      if (words) $("model").textContent = words;
    });
    loading.hidden = true;
    $("door").hidden = !found.needs_token;
    $("drop").hidden = Boolean(found.needs_token);
    if (found.needs_token) {
      $("model").textContent = found.needs_token === "wrong" ? "The token is wrong." : "A token is needed. Whoever runs this service has it.";
      say($("model").textContent);
      $("token").focus();
      return;
    }
    const wasAsked = facts === null && engine.token;
    facts = found;
    addFiles(early.splice(0));
    about();
    if (wasAsked) $("files").focus();
  } catch (error) {
    loading.hidden = true;
    $("model").textContent = sentence(error.message || "the model cannot be loaded");
  }
}

$("door").onsubmit = event => { event.preventDefault(); engine.token = $("token").value; greet(); };
$("csv").onclick = download;
$("clear").onclick = clear;
$("more").onclick = () => {
  const first = items[shownMost];
  shownMost += PAGE_SIZE;
  trim();
  if (first && first.card) first.card.querySelector("button").focus();
};
$("search").oninput = classes;
$("camera").onclick = () => { $("camera-view").showModal(); startCamera(); };
$("camera-view").onclose = () => { stopCamera(); $("camera").focus(); };
$("camera-close").onclick = () => $("camera-view").close();
$("shoot").onclick = shoot;
$("turn").onclick = nextCamera;
$("looks-close").onclick = () => $("looks-view").close();
$("looks-view").onclose = () => {
  if ($("looks-view").open) return; // the event comes late: another map was asked for meanwhile
  const button = looked && looked.item.told && looked.item.told.querySelector(".look");
  looked = null;
  if (button) button.focus();
};
$("bare").onclick = () => { $("bare").setAttribute("aria-pressed", String($("bare").getAttribute("aria-pressed") !== "true")); paint(); };
addEventListener("pagehide", stopCamera);
offerCamera();
greet();
})();

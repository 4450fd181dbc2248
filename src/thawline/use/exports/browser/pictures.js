/* The bytes of a picture -> upright RGB pixels, as Thawline's own decoder makes them of an ordinary file.

   One idea: the browser decodes, and nothing else. What browsers treat differently (orientation, colour profiles) is cut
   out of the file first and done here; a big photo is made smaller before anything else, as there. */

const LARGE_PIXELS = 8 << 20, STRIP_PIXELS = 1 << 20;
const STRAY = new Set([0, 9, 10, 13, 32]);

export class PictureError extends Error {}

/* {width, height, pixels: Uint8Array of width × height × 3, remarks} of encoded bytes.
   how: {least_px, background: [red, green, blue], max_megapixels}; both sides of a reduced picture keep least_px. */
export async function pictureOf(bytes, how) {
  const file = fileOf(bytes), {width, height} = file;
  if (width && width * height > how.max_megapixels * 1e6) {
    const megapixels = Math.round(width * height / 1e6);
    throw new PictureError(`${width}×${height} px are ${megapixels} megapixels, over the ${how.max_megapixels} allowed here`);
  }
  return {...turned(await decoded(file, how), file.orientation), remarks: file.remarks};
}

/* The picture of a file before it is turned, smaller where it is large: {width, height, pixels}. */
async function decoded(file, how) {
  const scale = file.is_jpeg ? draftScale(file, how.least_px) : 1, small = scale > 1 ? await drafted(file, scale) : null;
  if (small) return small;
  let bitmap;
  try {
    const options = {imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none"};
    bitmap = await createImageBitmap(new Blob([file.bytes], {type: file.mime}), options);
  } catch {
    throw new PictureError(file.refusal || `the ${file.name} file is damaged, or this browser cannot read it`);
  }
  try {
    return reduced(bitmap, scale, how);
  } finally {
    bitmap.close();
  }
}

/* By what a large JPEG is divided while it is decoded, as Pillow's `draft` chooses it. */
function draftScale({width, height}, least_px) {
  const most = Math.min(Math.floor(width / least_px), Math.floor(height / least_px));
  return [8, 4, 2].find(one => most >= one) || 1;
}

/* A JPEG that libjpeg decodes at a fraction of its size, to the last bit as Pillow has it; null where the browser cannot. */
async function drafted(file, scale) {
  if (!globalThis.ImageDecoder) return null;
  const width = Math.ceil(file.width / scale), height = Math.ceil(file.height / scale);
  let decoder = null, frame = null;
  try {
    const wanted = {desiredWidth: width, desiredHeight: height, colorSpaceConversion: "none"};
    decoder = new ImageDecoder({data: file.bytes, type: file.mime, ...wanted});
    frame = (await decoder.decode()).image;
    const first = {RGBX: 0, RGBA: 0, BGRX: 2, BGRA: 2}[frame.format];
    if (first === undefined || frame.codedWidth !== width || frame.codedHeight !== height) return null;
    const values = new Uint8Array(frame.allocationSize()), [{offset, stride}] = await frame.copyTo(values);
    const pixels = new Uint8Array(width * height * 3);
    for (let y = 0, to = 0; y < height; y += 1) {
      for (let from = offset + y * stride, end = from + 4 * width; from < end; from += 4, to += 3) {
        pixels[to] = values[from + first];
        pixels[to + 1] = values[from + 1];
        pixels[to + 2] = values[from + 2 - first];
      }
    }
    return {width, height, pixels};
  } catch {
    return null;
  } finally {
    frame?.close();
    decoder?.close();
  }
}

function text(bytes, at, length) {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

function view(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/* What a file is: {name, mime, bytes for the browser, orientation, remarks, width?, height?, refusal?}. */
function fileOf(bytes) {
  if (!bytes.length) throw new PictureError("the file is empty");
  let start = 0;
  while (start < 64 && start < bytes.length && STRAY.has(bytes[start])) start += 1;
  for (const [from, remark] of [[0, null], [start, `${start} bytes before its beginning`]]) {
    const own = bytes.subarray(from), begins = text(own, 0, 12), remarks = remark && from ? [remark] : [];
    if (begins.startsWith("\xff\xd8\xff")) return {name: "JPEG", mime: "image/jpeg", remarks, ...jpeg(own)};
    if (begins.startsWith("\x89PNG\r\n\x1a\n")) return {name: "PNG", mime: "image/png", remarks, ...png(own)};
  }
  const plain = {bytes, orientation: 1, remarks: []}, begins = text(bytes, 0, 12);
  if (/^GIF8[79]a/.test(begins)) return {...plain, name: "GIF", mime: "image/gif", ...sides(bytes, 6, 8)};
  if (begins.startsWith("RIFF") && begins.endsWith("WEBP")) return {...plain, name: "WebP", mime: "image/webp", ...webp(bytes)};
  if (begins.startsWith("BM") && [12, 40, 52, 56, 64, 108, 124].includes(bytes[14])) return {...plain, name: "BMP", mime: "image/bmp", ...bmp(bytes)};
  if (begins.slice(4, 8) === "ftyp") {
    const brands = text(bytes, 8, Math.min(view(bytes).getUint32(0), 256, bytes.length) - 8);
    if (/avif|avis/.test(brands)) return {...plain, name: "AVIF", mime: "image/avif"};
    if (/heic|heix|heim|heis|hevc|hevx|mif1|msf1|heif/.test(brands)) {
      return {...plain, name: "HEIC", mime: "image/heic", refusal: "HEIC, which this browser cannot read: save it as JPEG first"};
    }
    throw new PictureError("a video, not a picture");
  }
  if (/^(II\*\0|MM\0\*|II\+\0|MM\0\+)/.test(begins)) throw new PictureError("TIFF, which browsers do not read alike: save it as PNG or JPEG first");
  if (begins.startsWith("%PDF")) throw new PictureError("a PDF, not a picture");
  if (begins.startsWith("PK\x03\x04")) throw new PictureError("a ZIP archive or office document: unpack it first");
  const head = text(bytes, 0, 1024).toLowerCase();
  if (/^\s*(<\?xml[^]*)?<svg/.test(head)) throw new PictureError("SVG, a drawing: save it as PNG first");
  throw new PictureError("no picture in a format that this page knows (JPEG, PNG, WebP, GIF, BMP, AVIF)");
}

function sides(bytes, at, then) {
  const data = view(bytes);
  return bytes.length < then + 2 ? {} : {width: data.getUint16(at, true), height: data.getUint16(then, true)};
}

function bmp(bytes) {
  if (bytes.length < 26 || bytes[14] === 12) return {};
  return {width: Math.abs(view(bytes).getInt32(18, true)), height: Math.abs(view(bytes).getInt32(22, true))};
}

/* Facts of a WebP; its profile and its EXIF are switched off in a copy. */
function webp(bytes) {
  const data = view(bytes), name = text(bytes, 12, 4);
  if (bytes.length < 30 || data.getUint32(4, true) + 8 > bytes.length) throw new PictureError("the file ends before the picture does");
  if (name === "VP8 ") return {width: data.getUint16(26, true) & 0x3fff, height: data.getUint16(28, true) & 0x3fff};
  if (name !== "VP8X") return {};
  const own = bytes.slice();
  own[20] &= ~0x2c;
  let orientation = 1;
  for (let at = 12; at + 8 <= bytes.length;) {
    const length = data.getUint32(at + 4, true);
    if (text(bytes, at, 4) === "EXIF") orientation = exifOrientation(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length + length % 2;
  }
  const side = at => 1 + bytes[at] + (bytes[at + 1] << 8) + (bytes[at + 2] << 16);
  return {bytes: own, orientation, width: side(24), height: side(27)};
}

/* Facts of a PNG, and its bytes without what browsers treat differently. */
function png(bytes) {
  const data = view(bytes), left_out = new Set(["eXIf", "iCCP", "gAMA", "cHRM", "sRGB", "cICP", "mDCV", "cLLI"]);
  const kept = [bytes.subarray(0, 8)];
  let orientation = 1, is_whole = false;
  if (bytes.length >= 26 && bytes[24] === 16) throw new PictureError("a PNG of 16 bits a colour, which browsers do not show as they are");
  for (let at = 8; at + 12 <= bytes.length && !is_whole;) {
    const length = data.getUint32(at), name = text(bytes, at + 4, 4), end = at + 12 + length;
    if (end > bytes.length) break;
    if (name === "eXIf") orientation = exifOrientation(bytes.subarray(at + 8, end - 4));
    if (!left_out.has(name)) kept.push(bytes.subarray(at, end));
    is_whole = name === "IEND";
    at = end;
  }
  if (!is_whole) throw new PictureError("the file ends before the picture does");
  return {bytes: joined(kept), orientation, width: data.getUint32(16), height: data.getUint32(20)};
}

/* Facts of a JPEG, and its bytes without EXIF, XMP and colour profile. */
function jpeg(bytes) {
  const data = view(bytes), kept = [bytes.subarray(0, 2)], facts = {orientation: 1};
  let at = 2, exif = null, xmp = 1, start = null;
  while (at + 4 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1];
    if (marker === 0xff) { at += 1; continue; }
    if (marker === 0xda) { start = at; break; }
    const end = at + 2 + data.getUint16(at + 2), inside = bytes.subarray(at + 4, end);
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker) && inside.length >= 5) {
      if (inside[0] !== 8) throw new PictureError(`a JPEG of ${inside[0]} bits a colour, which browsers do not read`);
      facts.height = data.getUint16(at + 5);
      facts.width = data.getUint16(at + 7);
    }
    if (marker === 0xe1 && exif === null && text(inside, 0, 6) === "Exif\0\0") exif = exifOrientation(inside.subarray(6));
    if (marker === 0xe1 && text(inside, 0, 28) === "http://ns.adobe.com/xap/1.0/") xmp = xmpOrientation(inside);
    if (marker !== 0xe1 && marker !== 0xe2) kept.push(bytes.subarray(at, end));
    at = end;
  }
  if (start === null || !facts.width || !facts.height) throw new PictureError("the JPEG file is damaged");
  if (!hasEnd(bytes, start)) throw new PictureError("the file ends before the picture does");
  return {...facts, bytes: joined([...kept, bytes.subarray(start)]), orientation: exif ?? xmp, is_jpeg: true};
}

function hasEnd(bytes, start) {
  for (let at = bytes.length - 2; at > start; at -= 1) if (bytes[at] === 0xff && bytes[at + 1] === 0xd9) return true;
  return false;
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
}

/* The orientation in an EXIF block, 1 to 8; 1 where it says none. */
function exifOrientation(exif) {
  while (text(exif, 0, 6) === "Exif\0\0") exif = exif.subarray(6);
  const order = text(exif, 0, 2), data = view(exif), little = order === "II";
  if (exif.length < 8 || (!little && order !== "MM")) return 1;
  const start = data.getUint32(4, little);
  if (start + 2 > exif.length) return 1;
  const count = data.getUint16(start, little);
  let found = 1;
  for (let at = start + 2; at < start + 2 + 12 * count && at + 12 <= exif.length; at += 12) {
    const kind = data.getUint16(at + 2, little);
    if (data.getUint16(at, little) !== 0x0112 || data.getUint32(at + 4, little) !== 1) continue;
    if (kind === 3) found = data.getUint16(at + 8, little);
    if (kind === 4 || kind === 13) found = data.getUint32(at + 8, little);
  }
  return found >= 1 && found <= 8 ? found : 1;
}

function xmpOrientation(packet) {
  const found = /tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])(?!\d)/.exec(new TextDecoder("latin1").decode(packet));
  return found ? Number(found[1]) : 1;
}

/* The picture of a bitmap, divided by `scale` or smaller where it is large: {width, height, pixels}. */
function reduced(bitmap, scale, {least_px, background}) {
  const {width, height} = bitmap;
  if (scale > 1) return averaged(bitmap, scale, background);
  const factor = width * height > LARGE_PIXELS ? Math.floor(Math.min(width, height) / least_px) : 1;
  if (factor > 1) return averaged(bitmap, factor, background);
  const pixels = new Uint8Array(width * height * 3);
  for (const {top, rows, values} of strips(bitmap, 1, background)) {
    for (let to = top * width * 3, from = 0, left = rows * width; left; left -= 1, from += 4, to += 3) {
      pixels[to] = values[from];
      pixels[to + 1] = values[from + 1];
      pixels[to + 2] = values[from + 2];
    }
  }
  return {width, height, pixels};
}

/* Parts of a bitmap on its background, a multiple of `step` rows high: {top, rows, values}, four values a pixel. */
function* strips(bitmap, step, background) {
  const {width, height} = bitmap, most = step * Math.max(1, Math.floor(STRIP_PIXELS / (width * step)));
  const canvas = new OffscreenCanvas(width, Math.min(most, height));
  const context = canvas.getContext("2d", {willReadFrequently: true, colorSpace: "srgb"});
  if (!context) throw new PictureError("the picture is too wide for this browser");
  context.imageSmoothingEnabled = false;
  for (let top = 0; top < height; top += most) {
    const rows = Math.min(most, height - top);
    context.fillStyle = `rgb(${background.join(",")})`;
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, top, width, rows, 0, 0, width, rows);
    yield {top, rows, values: context.getImageData(0, 0, width, rows).data};
  }
}

/* A picture at a whole fraction of its size, neighbours averaged: as `reduce` of Pillow makes it, and its `draft` nearly,
   since libjpeg's smaller transforms are those averages. */
function averaged(bitmap, factor, background) {
  const width = Math.ceil(bitmap.width / factor), height = Math.ceil(bitmap.height / factor);
  const pixels = new Uint8Array(width * height * 3), sums = new Uint32Array(width * 3);
  for (const {top, rows, values} of strips(bitmap, factor, background)) {
    for (let first = 0; first < rows; first += factor) {
      const deep = Math.min(factor, rows - first);
      sums.fill(0);
      for (let row = first; row < first + deep; row += 1) added(values.subarray(row * bitmap.width * 4, (row + 1) * bitmap.width * 4), factor, sums);
      for (let to = 0, at = (top + first) / factor * width * 3; to < sums.length; to += 1) {
        const wide = to < sums.length - 3 ? factor : bitmap.width - (width - 1) * factor;
        pixels[at + to] = sums[to] / (deep * wide) + 0.5;  // a whole number is kept of it
      }
    }
  }
  return {width, height, pixels};
}

/* Add a row of pixels to the sums of as many neighbours as go into one. */
function added(row, factor, sums) {
  for (let from = 0, to = 0; to < sums.length; to += 3) {
    let red = 0, green = 0, blue = 0;
    for (const end = Math.min(from + 4 * factor, row.length); from < end; from += 4) {
      red += row[from];
      green += row[from + 1];
      blue += row[from + 2];
    }
    sums[to] += red;
    sums[to + 1] += green;
    sums[to + 2] += blue;
  }
}

/* A picture turned as its EXIF says, 1 to 8. */
function turned({width, height, pixels}, orientation) {
  if (orientation === 1) return {width, height, pixels};
  const [wide, high] = orientation < 5 ? [width, height] : [height, width];
  const right = width - 1, bottom = height - 1, made = new Uint8Array(pixels.length);
  const source = {
    2: (x, y) => [right - x, y], 3: (x, y) => [right - x, bottom - y], 4: (x, y) => [x, bottom - y],
    5: (x, y) => [y, x], 6: (x, y) => [y, bottom - x], 7: (x, y) => [right - y, bottom - x], 8: (x, y) => [right - y, x],
  }[orientation];
  const [left, above] = source(0, 0), [nextX, nextY] = source(1, 0);
  const step = 3 * ((nextX - left) + (nextY - above) * width);
  for (let y = 0, to = 0; y < high; y += 1) {
    const [fromX, fromY] = source(0, y);
    for (let x = 0, from = 3 * (fromY * width + fromX); x < wide; x += 1, from += step, to += 3) {
      made[to] = pixels[from];
      made[to + 1] = pixels[from + 1];
      made[to + 2] = pixels[from + 2];
    }
  }
  return {width: wide, height: high, pixels: made};
}

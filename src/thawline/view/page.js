"use strict";
// The page works without this: all pictures and numbers are in it. What is added: pictures large on a click, the
// pictures behind a cell, a class or a slice, a search in the leaderboard, pictures on the map, buttons that copy.
// Text is only ever set as text, nothing is asked of a server.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector, within = document) => within.querySelector(selector);
  const facts = JSON.parse(one("#facts").textContent);
  const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
  const element = (tag, className = "", text = "") => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  };
  const named = (tag, className, text) => {
    const made = element(tag, className);
    const own = element("bdi");
    text.split("_").forEach((word, number) => own.append(...(number ? ["_", element("wbr"), word] : [word])));
    made.append(own);
    return made;
  };
  const fileName = (path) => path.slice(path.lastIndexOf("/") + 1);
  const partWords = (fold) => (fold === -1 ? "test" : fold === -2 ? "for training" : `fold ${fold + 1}`);
  const foldWords = (fold) => (fold === -1 ? "of the test" : fold === -2 ? "for training" : `held out in fold ${fold + 1}`);
  const isMistake = (shown) => shown.top.length > 0 && shown.top[0][0] !== shown.label;
  const describe = (shown) => {
    const label = facts.classes[shown.label];
    if (!shown.top.length) return label;
    return isMistake(shown) ? `${label}, taken for ${facts.classes[shown.top[0][0]]}` : `${label}, rightly answered`;
  };
  const picture = (place, alt) => {
    const made = element("span", `pic p${place}`);
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", alt);
    return made;
  };
  const thumb = (place) => {
    const made = element("button", "thumb");
    made.type = "button";
    made.dataset.pic = place;
    made.append(picture(place, describe(facts.pictures[place])));
    return made;
  };
  const card = (place) => {
    const shown = facts.pictures[place];
    const item = element("li");
    const caption = element("div", "cap");
    caption.append(named("b", "clamp", facts.classes[shown.label]));
    if (isMistake(shown)) {
      const said = element("span", "clamp", "→\u00a0");
      said.append(named("em", "", facts.classes[shown.top[0][0]]));
      caption.append(said);
    }
    const sure = shown.top.length ? `${percent(shown.top[0][1])} sure · ` : "";
    caption.append(element("span", "muted", sure + partWords(shown.fold)));
    item.append(thumb(place), caption);
    return item;
  };

  // Large on a click.
  const box = one("#view");
  const slots = Object.fromEntries(all("[data-slot]", box).map((slot) => [slot.dataset.slot, slot]));
  let row = [];
  let at = 0;
  let opener = null;
  const show = (place) => {
    const shown = facts.pictures[place];
    const heat = facts.heat[place]; // a picture of its own
    slots.picture.className = heat !== undefined && slots.heatSwitch.checked ? `pic h${heat}` : `pic p${place}`;
    slots.picture.setAttribute("aria-label", describe(shown));
    slots.title.replaceChildren(element("bdi", "", facts.classes[shown.label]));
    slots.said.replaceChildren();
    slots.said.classList.toggle("right", !isMistake(shown));
    if (shown.top.length) {
      slots.said.append(isMistake(shown) ? "The model said " : "The model said so too: ");
      slots.said.append(named("em", "", facts.classes[shown.top[0][0]]), ".");
    } else {
      slots.said.append("The model learnt from it; it was not asked about it.");
    }
    slots.shares.replaceChildren(
      ...shown.top.map(([label, share]) => {
        const item = element("li", label === shown.label ? "true" : label === shown.top[0][0] ? "wrong" : "");
        const line = element("i");
        const filled = element("u");
        filled.style.width = `${100 * share}%`;
        line.append(filled);
        item.append(named("span", "name", facts.classes[label]), element("b", "", percent(share)), line);
        return item;
      }),
    );
    const remark = facts.remarks[place] || "";
    slots.remark.textContent = remark;
    slots.remark.hidden = !remark;
    const near = facts.near[place] || [];
    slots.nearTitle.hidden = !near.length;
    slots.near.replaceChildren(
      ...near.map((other) => {
        const item = element("li");
        const caption = named("div", "cap clamp", facts.classes[facts.pictures[other].label]);
        item.append(thumb(other), caption);
        return item;
      }),
    );
    slots.heatLine.hidden = heat === undefined;
    slots.where.replaceChildren(element("bdi", "", shown.path), ` · ${foldWords(shown.fold)}`);
    slots.count.textContent = row.length > 1 ? `${at + 1} of ${row.length}` : "";
    for (const turn of [slots.before, slots.after]) turn.hidden = row.length < 2;
  };
  const turnBy = (step) => {
    if (row.length < 2) return;
    at = (at + step + row.length) % row.length;
    show(row[at]);
  };
  const openRow = (places, first, button) => {
    [row, at] = [places, first];
    if (!box.open) opener = button;
    show(row[at]);
    if (!box.open) box.showModal();
    slots.close.focus();
  };
  const open = (button) => {
    if (box.contains(button)) return openRow([Number(button.dataset.pic)], 0, null);
    const gallery = button.closest("[data-row]") || button.parentElement;
    slots.heatSwitch.checked = /\bh\d+\b/.test(one(".pic", button).className); // as it was clicked on
    const seen = all("[data-pic]", gallery).filter((other) => other.offsetParent !== null);
    openRow(seen.map((other) => Number(other.dataset.pic)), seen.indexOf(button), button);
  };
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    turnBy(step);
  });
  box.addEventListener("close", () => opener && opener.focus());
  box.addEventListener("click", (event) => event.target === box && box.close());
  slots.close.addEventListener("click", () => box.close());
  slots.before.addEventListener("click", () => turnBy(-1));
  slots.after.addEventListener("click", () => turnBy(1));
  slots.heatSwitch.addEventListener("change", () => show(row[at]));

  // The pictures behind a cell, a class or a slice.
  const chosen = one("#chosen");
  const unchosen = one("#unchosen");
  let pressed = null;
  const choose = (button) => {
    const { label, predicted, places, title } = button.dataset;
    const listed = places === undefined ? null : new Set(places.split(" ").filter(Boolean).map(Number));
    const found = facts.pictures
      .map((shown, place) => ({ shown, place }))
      .filter(({ shown, place }) => {
        if (listed) return listed.has(place);
        if (!shown.top.length) return false;
        const said = shown.top[0][0];
        const isCell = label !== undefined && predicted !== undefined;
        if (label !== undefined && shown.label !== Number(label)) return false;
        if (predicted !== undefined && said !== Number(predicted)) return false;
        return isCell || said !== shown.label;
      })
      .sort((a, b) => (b.shown.top[0] || [0, 0])[1] - (a.shown.top[0] || [0, 0])[1]);
    const num = Number(button.dataset.num ?? found.length);
    one("#chosen-title").textContent = title;
    one("#chosen-count").textContent =
      found.length === 0 ? "None of them is in this page." : found.length < num ? `${found.length} of ${num} are shown.` : "";
    one("#chosen-list").replaceChildren(...found.map(({ place }) => card(place)));
    if (pressed) pressed.setAttribute("aria-pressed", "false");
    pressed = button;
    button.setAttribute("aria-pressed", "true");
    chosen.hidden = false;
    unchosen.hidden = true;
    chosen.scrollIntoView({ block: "start" });
    chosen.focus({ preventScroll: true });
  };
  const clear = () => {
    chosen.hidden = true;
    unchosen.hidden = false;
    if (!pressed) return;
    pressed.setAttribute("aria-pressed", "false");
    pressed.focus();
    pressed = null;
  };

  // One listener for all buttons, those made later too.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button, [data-pic]");
    if (!button) return;
    if (button.dataset.pic !== undefined) open(button);
    else if (button.dataset.title !== undefined) choose(button);
    else if (button.id === "clear") clear();
    else if (button.dataset.unfold !== undefined) {
      one(`#${button.dataset.unfold}`).classList.remove("folded");
      button.hidden = true;
    } else if (button.dataset.copy !== undefined) copy(button);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !box.open && chosen && !chosen.hidden && chosen.contains(document.activeElement)) clear();
  });

  // Commands to copy.
  const copy = async (button) => {
    const code = one(`#${button.dataset.copy}`);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // no clipboard in this browser: it is marked, to be copied by hand
      button.textContent = "Marked";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  };

  // A search in the leaderboard.
  const search = one("#board-search");
  if (search) {
    const lines = all("#leaderboard tbody tr");
    const rest = one("#leaderboard details");
    const count = one("#board-count");
    search.addEventListener("input", () => {
      const terms = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let num = 0;
      for (const line of lines) {
        const text = line.textContent.toLowerCase();
        line.hidden = !terms.every((term) => text.includes(term));
        num += line.hidden ? 0 : 1;
      }
      if (rest) rest.open = terms.length > 0;
      count.textContent = terms.length ? `${num} of ${lines.length}` : "";
    });
  }

  // Pictures on the map.
  const tip = one("#map-tip");
  if (tip) {
    const map = tip.parentElement;
    const hide = () => (tip.hidden = true);
    const words = new Map();
    for (const mark of all("[data-point]", map)) {
      const title = one("title", mark); // it would show next to the picture
      words.set(mark, title.textContent);
      title.remove();
      if (facts.map[Number(mark.dataset.point)][0] >= 0) mark.style.cursor = "zoom-in";
    }
    map.addEventListener("click", (event) => {
      const mark = event.target.closest("[data-point]");
      const shown = mark ? facts.map[Number(mark.dataset.point)][0] : -1;
      if (shown >= 0) openRow([shown], 0, null);
    });
    const point = (event) => {
      const mark = event.target.closest("[data-point]");
      if (!mark) return hide();
      const [shown, sheet, tile] = facts.map[Number(mark.dataset.point)];
      const small = one(".pic", tip);
      small.removeAttribute("style");
      small.hidden = shown < 0 && sheet < 0;
      if (shown >= 0) small.className = `pic p${shown}`;
      else if (sheet >= 0) {
        const { columns, lines } = facts.sheets[sheet];
        const along = (place, num) => (num > 1 ? (100 * place) / (num - 1) : 0);
        small.className = `pic s${sheet}`;
        small.style.backgroundSize = `${100 * columns}% ${100 * lines}%`;
        small.style.backgroundPosition = `${along(tile % columns, columns)}% ${along(Math.floor(tile / columns), lines)}%`;
      }
      one("p", tip).replaceChildren(element("bdi", "", words.get(mark)));
      tip.hidden = false;
      const box = map.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      tip.style.left = `${Math.max(0, Math.min(x + 14, box.width - tip.offsetWidth))}px`;
      tip.style.top = `${y + 14 + tip.offsetHeight > box.height ? Math.max(0, y - 14 - tip.offsetHeight) : y + 14}px`;
    };
    map.addEventListener("pointermove", point);
    map.addEventListener("pointerdown", point);
    map.addEventListener("pointerleave", hide);
  }

  // Where the reader is.
  const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }
    },
    { rootMargin: "-20% 0px -75% 0px" },
  );
  for (const part of all("section.part")) seen.observe(part);

  // On paper everything is unfolded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    for (const fold of folded) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of folded) fold.open = false;
  });
})();

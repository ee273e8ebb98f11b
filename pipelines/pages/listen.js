"use strict";
// Sound with a moving cursor, tables that sort, cards that filter, and the keyboard. Without it a
// page shows all that it holds, and its sounds play.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const cards = all(".card");
  let current = null;

  // One sound at a time; the cursor follows it.
  const follow = (audio, cursor) => {
    if (audio.duration) cursor.style.left = `${(100 * audio.currentTime) / audio.duration}%`;
    if (!audio.paused) requestAnimationFrame(() => follow(audio, cursor));
  };
  const toggle = (audio) => (audio.paused ? audio.play() : audio.pause());
  for (const box of all(".listen")) {
    const audio = box.querySelector("audio");
    const cursor = box.querySelector(".cursor");
    audio.addEventListener("play", () => {
      for (const other of all("audio")) if (other !== audio) other.pause();
      box.classList.add("playing");
      const card = box.closest(".card");
      if (card) choose(card, false);
      follow(audio, cursor);
    });
    audio.addEventListener("seeked", () => follow(audio, cursor));
    audio.addEventListener("ended", () => box.classList.remove("playing"));
    box.querySelector(".stack").addEventListener("click", (event) => {
      const place = box.querySelector(".stack").getBoundingClientRect();
      const share = (event.clientX - place.left) / place.width;
      const begin = () => {
        audio.currentTime = share * audio.duration;
        audio.play();
      };
      if (audio.readyState > 0) begin();
      else {
        audio.addEventListener("loadedmetadata", begin, { once: true });
        audio.load();
      }
    });
  }

  const choose = (card, move) => {
    if (current) current.classList.remove("current");
    current = card;
    card.classList.add("current");
    if (move) {
      for (const audio of all("audio")) if (!card.contains(audio)) audio.pause();
      card.focus({ preventScroll: true });
      card.scrollIntoView({ block: "center" });
    }
  };
  document.addEventListener("keydown", (event) => {
    const busy = event.target.closest("input, select, button, summary, audio, a");
    if (busy || event.ctrlKey || event.metaKey || event.altKey) return;
    const shown = cards.filter((card) => !card.hidden);
    if (!shown.length) return;
    const at = shown.indexOf(current);
    if (event.key === "j") choose(shown[Math.min(at + 1, shown.length - 1)], true);
    else if (event.key === "k") choose(shown[Math.max(at - 1, 0)], true);
    else if (event.key === " ") {
      if (at < 0) choose(shown[0], true);
      toggle(current.querySelector("audio"));
    } else return;
    event.preventDefault();
  });

  // Tables whose heads are buttons: numbers by `data-value`, else by the text.
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value === undefined) return cell.textContent.trim();
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  };
  const order = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  for (const head of all("table.sortable thead th")) {
    if (!head.textContent.trim()) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const body = head.closest("table").tBodies[0];
      const rows = [...body.rows].map((row) => [valueOf(row, head.cellIndex), row]);
      rows.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null); // unknown ones last
        return falling ? order(b, a) : order(a, b);
      });
      body.append(...rows.map(([, row]) => row));
    });
  }

  // Filters: what each <select data-filter="name"> says is compared with data-name.
  for (const form of all(".filters")) {
    form.hidden = false;
    const held = all(form.dataset.of);
    const told = form.querySelector("output");
    const apply = () => {
      const wanted = all("select", form).filter((select) => select.value !== "");
      let shown = 0;
      for (const item of held) {
        item.hidden = !wanted.every((select) => item.dataset[select.dataset.filter] === select.value);
        shown += !item.hidden;
      }
      if (told) told.textContent = `${shown} of ${held.length} shown`;
    };
    form.addEventListener("change", apply);
    apply();
  }

  // Light or dark, other than the system says.
  const theme = document.querySelector(".theme");
  const root = document.documentElement;
  const dark = () =>
    (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => (theme.textContent = dark() ? "Light" : "Dark");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    name();
  });
  name();
})();

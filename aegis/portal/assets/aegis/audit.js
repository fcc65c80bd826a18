/* Audit: only comfort. The server draws list, filters and panel from the address; without this file every link and form works.
     filters   a box that is ticked sends the form at once
     panel     a row opens beside the list without loading the page; the address follows, Back closes it again
     histogram drag over bars, or arrow keys with Shift, narrows the time; a bar by itself is a link
     keys      j/k or arrows move in the list, Enter opens, / goes to the text box, Esc closes the panel
               (single keys only while the person has them switched on) */
(function () {
  "use strict";
  const { $, $$, keysOn, refresh } = window.Aegis;
  const grid = $("#au-grid");
  const panel = $("#au-panel");
  const form = $("#au-filters");
  if (!grid || !panel || !form) return;

  form.addEventListener("change", (e) => { if (e.target.matches("input[type=checkbox]")) send(); });
  form.addEventListener("submit", (e) => { e.preventDefault(); send(); });
  function send() {
    // Empty fields would only clutter the address that people share.
    const query = new URLSearchParams();
    new FormData(form).forEach((value, name) => { if (value) query.append(name, String(value)); });
    if (query.get("from") || query.get("to")) query.delete("span");
    const text = query.toString();
    location.assign(form.action + (text ? "?" + text : ""));
  }

  const railButton = $("#au-rail-b");
  railButton.addEventListener("click", () => {
    const on = grid.classList.toggle("au-grid--rail");
    railButton.setAttribute("aria-expanded", String(on));
  });

  const rows = () => $$(".au-row", grid);
  const current = () => rows().find((row) => row.hasAttribute("aria-current"));
  function point(row) {
    rows().forEach((other) => { if (other === row) other.setAttribute("aria-current", "true"); else other.removeAttribute("aria-current"); });
  }

  let opener = null; // the row the panel was opened from: closing gives the focus back to it
  async function load(url) {
    const answer = await fetch(url, { headers: { "X-Requested-With": "fetch" }, credentials: "same-origin" });
    if (!answer.ok || answer.redirected) return false;
    panel.innerHTML = await answer.text(); // from our own origin, autoescaped by the server; the CSP forbids inline script anyway
    panel.hidden = false;
    grid.classList.add("au-grid--panel");
    if (refresh) refresh(panel);
    return true;
  }
  async function open(row, focus) {
    if (!(await load(row.dataset.panel))) { location.assign(row.href); return; }
    point(row);
    opener = row;
    history.replaceState(null, "", row.href);
    if (focus) $("#au-pt").focus({ preventScroll: true });
  }
  function close() {
    const row = current() || opener;
    panel.hidden = true;
    panel.replaceChildren();
    grid.classList.remove("au-grid--panel");
    const address = new URL(location.href);
    address.searchParams.delete("event");
    history.replaceState(null, "", address);
    point(null);
    if (row) row.focus();
  }

  grid.addEventListener("click", (e) => {
    if (!(e.target instanceof Element) || e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
    const link = e.target.closest("a");
    if (!link) return;
    if (link.matches("[data-panel]")) { e.preventDefault(); open(link, true); }
    else if (link.matches("[data-panel-close]")) { e.preventDefault(); close(); }
    else if (link.matches("[data-panel-go]")) {
      e.preventDefault();
      load(link.getAttribute("href") + "panel/").then((done) => {
        if (!done) { location.assign(link.href); return; }
        const address = new URL(location.href);
        address.searchParams.set("event", link.pathname.split("/").slice(-3, -1).map(decodeURIComponent).join("/"));
        history.replaceState(null, "", address);
        point(rows().find((row) => row.dataset.panel === link.pathname + "panel/") || null);
        $("#au-pt").focus({ preventScroll: true });
      });
    }
  });

  const hist = $("#au-hist");
  if (hist) histogram(hist, $("#au-brush"), $("#au-hint"));
  function histogram(svg, brush, hint) {
    const bars = $$(".h-slot", svg);
    let from = null; // where a drag or a row of Shift+arrows began
    let to = 0;
    let dragged = false;
    bars.forEach((bar, place) => bar.setAttribute("tabindex", place === bars.length - 1 ? "0" : "-1"));
    const under = (e) => {
      const box = svg.getBoundingClientRect();
      const place = Math.floor(((e.clientX - box.left) / box.width) * bars.length);
      return Math.max(0, Math.min(bars.length - 1, place));
    };
    const ends = () => [bars[Math.min(from, to)], bars[Math.max(from, to)]];
    function draw() {
      const low = Math.min(from, to), high = Math.max(from, to), slot = 960 / bars.length;
      brush.removeAttribute("hidden");
      brush.setAttribute("x", String(low * slot));
      brush.setAttribute("width", String((high - low + 1) * slot));
      bars.forEach((bar, place) => bar.classList.toggle("is-chosen", place >= low && place <= high));
      const [first, last] = ends();
      hint.textContent = "From " + first.dataset.start.replace("T", " ") + " to " + (last.dataset.end ? last.dataset.end.replace("T", " ") : "now") + " UTC";
    }
    function apply() {
      const [first, last] = ends();
      const address = new URL(location.href);
      ["span", "before", "event", "to"].forEach((name) => address.searchParams.delete(name));
      address.searchParams.set("from", first.dataset.start);
      if (last.dataset.end) address.searchParams.set("to", last.dataset.end);
      location.assign(address);
    }
    svg.addEventListener("dragstart", (e) => e.preventDefault());
    svg.addEventListener("pointerdown", (e) => {
      if (e.button) return;
      from = to = under(e);
      dragged = false;
    });
    addEventListener("pointermove", (e) => {
      if (from === null || !e.buttons) return;
      const place = under(e);
      if (place === to && !dragged) return;
      dragged = true;
      to = place;
      draw();
    });
    addEventListener("pointerup", () => {
      if (from === null) return;
      if (dragged) apply();
      from = null;
    });
    svg.addEventListener("click", (e) => { if (dragged) e.preventDefault(); });
    svg.addEventListener("keydown", (e) => {
      const at = bars.indexOf(document.activeElement);
      if (at < 0) return;
      if (e.key === "Enter" && from !== null && from !== to) { e.preventDefault(); apply(); return; }
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -at, End: bars.length - 1 - at }[e.key];
      if (step === undefined) return;
      e.preventDefault();
      const next = Math.max(0, Math.min(bars.length - 1, at + step));
      bars[at].setAttribute("tabindex", "-1");
      bars[next].setAttribute("tabindex", "0");
      bars[next].focus();
      if (e.shiftKey) { if (from === null) from = at; to = next; draw(); } else { from = null; brush.setAttribute("hidden", ""); bars.forEach((bar) => bar.classList.remove("is-chosen")); }
    });
  }

  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
    if (e.key === "Escape" && !panel.hidden) { close(); return; }
    if (!(e.target instanceof Element) || e.target.closest("input, textarea, select, summary")) return;
    if (e.key === "/" && keysOn()) { e.preventDefault(); $("#au-text").focus(); return; }
    const list = rows();
    const at = list.findIndex((row) => row === document.activeElement);
    const onRow = at >= 0;
    const step = { ArrowDown: onRow ? 1 : 0, ArrowUp: onRow ? -1 : 0, j: keysOn() ? 1 : 0, k: keysOn() ? -1 : 0 }[e.key];
    const next = step && list[onRow ? at + step : Math.max(0, list.indexOf(current()))];
    if (!next) return;
    e.preventDefault();
    next.focus();
    if (!panel.hidden) open(next, false);
  });
})();

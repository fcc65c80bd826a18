/* Audit: only comfort. The server draws list, filters and panel from the address; without this file every link and form works.
     filters   a box that is ticked sends the form at once
     panel     a row opens beside the list without loading the page; the address follows, Back closes it again
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

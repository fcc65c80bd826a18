/* AEGIS portal: shell and shared behaviour. Plain JavaScript, loaded with "defer"; no inline handlers, no inline styles.
   Hooks every page can use:
     data-theme-switch        toggles light and dark
     data-side-toggle         opens and closes the sidebar
     data-open="id"           opens <dialog id>; data-close inside closes it; Ctrl K opens #find
     data-copy="text"         copies text (or the text of the element named by data-copy-from="#id")
     data-toast="text"        says text for a moment
     data-countdown="seconds" counts down, "42 s" style
     <time data-moment>       is shown in the reader's zone ({% moment %}); <time data-ago> stays current ({% ago %})
     details.ag-menu          closes on Escape and on a click elsewhere
   window.Aegis: {$, $$, toast, copy, store, keysOn(), refresh(root)}; keysOn() says whether single-key shortcuts are on
   (User.single_key_shortcuts). Single keys open forms, they never decide. */
(function () {
  "use strict";
  const $ = (s, r) => (r || document).querySelector(s);
  const $$ = (s, r) => Array.from((r || document).querySelectorAll(s));
  const store = {
    get: (k) => { try { return localStorage.getItem(k); } catch (e) { return null; } },
    set: (k, v) => { try { localStorage.setItem(k, v); } catch (e) { /* private window */ } },
  };
  const keysOn = () => document.body.dataset.singleKeys === "on";

  let toastTimer = 0;
  function toast(text, ms) {
    const t = $(".ag-toast");
    if (!t) return;
    t.textContent = text; t.hidden = false;
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => { t.hidden = true; }, ms || 4000);
  }
  async function copy(text, what) {
    let done = false;
    try { await navigator.clipboard.writeText(text); done = true; } catch (e) { done = copyBySelection(text); }
    if (done) toast("Copied: " + (what || text));
    else toast("Your browser does not allow copying here" + (text.length <= 300 ? ": " + text : "; select it and copy it by hand"), 30000);
  }
  /* The clipboard is refused where the portal is not served over TLS; a selection may still be copied. */
  function copyBySelection(text) {
    const held = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text; area.readOnly = true; area.className = "ag-vh"; area.setAttribute("aria-hidden", "true");
    ((held && held.closest("dialog[open]")) || document.body).append(area);
    area.focus({ preventScroll: true }); area.select();
    let done = false;
    try { done = document.execCommand("copy"); } catch (e) { /* refused as well */ }
    area.remove();
    if (held) held.focus({ preventScroll: true });
    return done;
  }

  /* ---- sidebar: open or closed when wide, off canvas when narrow ---- */
  const app = $(".ag-app");
  const wide = matchMedia("(min-width: 1280px)");
  function side(open) {
    if (!app) return;
    if (wide.matches) { app.dataset.side = open ? "" : "closed"; store.set("sidebarDesktopOpen", open ? "1" : "0"); }
    else app.dataset.side = open ? "open" : "";
    $$("[data-side-toggle][aria-expanded]").forEach((b) => b.setAttribute("aria-expanded", String(open)));
    if (open && !wide.matches) { const first = $(".ag-nav__link"); if (first) first.focus(); }
  }
  const isOpen = () => (wide.matches ? app.dataset.side !== "closed" : app.dataset.side === "open");
  if (app) {
    if (wide.matches && store.get("sidebarDesktopOpen") === "0") app.dataset.side = "closed";
    $$("[data-side-toggle][aria-expanded]").forEach((b) => b.setAttribute("aria-expanded", String(isOpen())));
  }

  document.addEventListener("click", (e) => {
    if (!(e.target instanceof Element)) return;
    $$("details.ag-menu[open]").forEach((d) => { if (!d.contains(e.target)) d.open = false; });
    const el = e.target.closest("[data-theme-switch],[data-side-toggle],[data-open],[data-close],[data-copy],[data-copy-from],[data-toast]");
    if (!el) return;
    if (el.matches("[data-theme-switch]")) window.aegisTheme.set(window.aegisTheme.isDark() ? "light" : "dark");
    else if (el.matches("[data-side-toggle]")) side(!isOpen());
    else if (el.matches("[data-open]")) { const d = document.getElementById(el.dataset.open); if (d && d.showModal && !d.open) d.showModal(); }
    else if (el.matches("[data-close]")) { const d = el.closest("dialog"); if (d) d.close(); }
    else if (el.matches("[data-copy],[data-copy-from]")) {
      const from = el.dataset.copyFrom && $(el.dataset.copyFrom);
      copy(from ? from.textContent : el.dataset.copy, el.dataset.copyWhat);
    } else if (el.matches("[data-toast]")) toast(el.dataset.toast);
  });
  document.addEventListener("keydown", (e) => {
    if ((e.ctrlKey || e.metaKey) && !e.altKey && e.key.toLowerCase() === "k") {
      const d = $("#find");
      if (d) { e.preventDefault(); if (!d.open) d.showModal(); }
    }
    if (e.key === "Escape") {
      $$("details.ag-menu[open]").forEach((d) => { d.open = false; d.querySelector("summary").focus(); });
      if (app && app.dataset.side === "open") { side(false); const b = $(".ag-menu-btn"); if (b) b.focus(); }
    }
  });

  /* ---- times: the reader's zone, UTC stays in the title ---- */
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const dayYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const clockSeconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  function moment(el, now) {
    const at = new Date(el.dateTime);
    if (Number.isNaN(at.getTime())) return;
    const time = (el.dataset.moment === "seconds" ? clockSeconds : clock).format(at);
    if (el.dataset.moment === "time") { el.textContent = time; return; }
    const sameDay = at.toDateString() === now.toDateString();
    el.textContent = sameDay && el.dataset.moment !== "full" ? time : (at.getFullYear() === now.getFullYear() ? day : dayYear).format(at) + ", " + time;
  }
  function span(seconds) {
    const s = Math.abs(seconds);
    if (s < 60) return Math.round(s) + " s";
    if (s < 3600) return Math.floor(s / 60) + " min";
    if (s < 86400) { const m = Math.floor((s % 3600) / 60); return Math.floor(s / 3600) + " h" + (m ? " " + String(m).padStart(2, "0") + " min" : ""); }
    return Math.floor(s / 86400) + " d";
  }
  function ago(el, now) {
    const at = new Date(el.dateTime);
    if (Number.isNaN(at.getTime())) return;
    const seconds = (now - at) / 1000;
    if (el.dataset.ago === "span") { el.textContent = span(seconds); return; }
    el.textContent = Math.abs(seconds) < 5 ? "now" : seconds > 0 ? span(seconds) + " ago" : "in " + span(seconds);
  }
  /* What scrolls sideways must be reachable without a mouse; what does not scroll must be no tab stop. */
  function scrollers(root) {
    $$(".ag-scroll-x, .ag-code", root).forEach((el) => {
      const heading = el.closest("section, article, main") && $("h1, h2, h3", el.closest("section, article, main"));
      if (el.scrollWidth > el.clientWidth || el.scrollHeight > el.clientHeight) {
        el.tabIndex = 0; el.setAttribute("role", "region");
        if (!el.hasAttribute("aria-label")) el.setAttribute("aria-label", (heading ? heading.textContent.trim() : "Table") + ", scrolls");
      } else if (el.classList.contains("ag-scroll-x")) { el.removeAttribute("tabindex"); el.removeAttribute("role"); el.removeAttribute("aria-label"); }
    });
  }
  addEventListener("resize", () => scrollers(document));
  function refresh(root) {
    const now = new Date();
    scrollers(root);
    $$("time[data-moment]", root).forEach((el) => moment(el, now));
    $$("time[data-ago]", root).forEach((el) => ago(el, now));
  }
  refresh(document);
  setInterval(() => { const now = new Date(); $$("time[data-ago]").forEach((el) => ago(el, now)); }, 15000);
  setInterval(() => { // what is about to happen is told by the second
    const now = new Date();
    $$("time[data-ago]").filter((el) => { const left = new Date(el.dateTime) - now; return left > -6000 && left < 120000; }).forEach((el) => ago(el, now));
    $$("[data-countdown]").forEach((el) => {
      const left = Math.max(0, Number(el.dataset.countdown) - 1);
      el.dataset.countdown = left;
      el.textContent = left ? span(left) : "now";
    });
  }, 1000);

  /* ---- Ctrl K: names of pages and of what this person may see ---- */
  const find = $("#find");
  if (find) {
    const input = $("input", find);
    const list = $("[data-find-results]", find);
    let timer = 0; let asked = "";
    const links = () => $$("a", find);
    async function ask() {
      const q = input.value.trim();
      if (q === asked) return;
      asked = q;
      try {
        const answer = await fetch(find.dataset.url + "?q=" + encodeURIComponent(q), { headers: { "X-Requested-With": "fetch" } });
        if (answer.ok && q === input.value.trim()) list.innerHTML = await answer.text();
      } catch (e) { list.textContent = "Search cannot be reached right now."; }
    }
    input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 180); });
    find.addEventListener("keydown", (e) => {
      const all = links(); const at = all.indexOf(document.activeElement);
      if (e.key === "ArrowDown") { e.preventDefault(); (all[at + 1] || all[0] || input).focus(); }
      else if (e.key === "ArrowUp") { e.preventDefault(); if (at <= 0) input.focus(); else all[at - 1].focus(); }
      else if (e.key === "Enter" && e.target === input && all[0]) { e.preventDefault(); all[0].click(); }
    });
    find.addEventListener("click", (e) => { if (e.target === find) find.close(); });
    find.addEventListener("toggle", () => { if (find.open && !asked) ask(); });
  }

  window.Aegis = { $, $$, toast, copy, store, keysOn, refresh, span };
}());

/* Live parts. <section data-live="/url/of/partial/" data-live-every="4"> is fetched again every N seconds (ETag, 304) and its
   content swapped only when it changed. Nothing is lost: while the part holds the focus in a field, an open menu, dialog or
   selection, or a field the reader changed, the swap waits (but for a field with data-live-kept, which its page sets again
   after the swap). Focus on a link, button, box or fold is kept by id, else by href, else by its place in what has an id.
   What the reader looks at stays where it is, whatever grew or went above it.
   The page keeps one polite status line (.ag-toast is not used for this); a part may carry data-live-say="text with {n}" to
   have a change announced. Hidden pages do not poll. Event "aegis:live" fires on the part after a swap.
   A changed answer brings the counts of the sidebar along (header X-Aegis-Counts).
   A 403, 404 or sign-in page stops the polling and says so. */
(function () {
  "use strict";
  const { $$, refresh } = window.Aegis;
  const say = document.getElementById("ag-live-status");

  function isBusy(part) {
    const el = document.activeElement;
    if (el && part.contains(el) && el.matches("input:not([type=checkbox]):not([type=radio]),textarea,select,[contenteditable]")) return true;
    if (part.querySelector("details.ag-menu[open], dialog[open], [data-live-hold]")) return true;
    if ($$("input:not([data-live-kept]),textarea", part).some((f) => (f.type === "checkbox" || f.type === "radio" ? f.checked !== f.defaultChecked : f.value !== f.defaultValue))) return true;
    const sel = document.getSelection();
    return Boolean(sel && !sel.isCollapsed && part.contains(sel.anchorNode));
  }
  const STOPS = "a[href],button,summary,input,[tabindex]";
  function placeOf(part, el) {
    const near = el.closest("[id]");
    const place = near && near !== part && part.contains(near) ? { near: near.id, at: $$(STOPS, near).indexOf(el) } : {};
    return { id: el.id, href: el.getAttribute("href"), ...place };
  }
  function found(part, held) {
    const near = held.near && document.getElementById(held.near);
    return (held.id && document.getElementById(held.id)) || (near && held.at >= 0 && $$(STOPS, near)[held.at])
      || (held.href && $$("a[href]", part).find((a) => a.getAttribute("href") === held.href));
  }
  function eye(part) { // the first thing in sight that will be found again
    if (part.getBoundingClientRect().top >= 0) return null;
    const seen = $$("[id]", part).map((e) => [e.id, e.getBoundingClientRect()]).find(([, r]) => r.height && r.top >= 0 && r.top < innerHeight);
    return seen ? { id: seen[0], top: seen[1].top } : null;
  }
  function swap(part, html) {
    const el = document.activeElement;
    const held = el && part.contains(el) ? placeOf(part, el) : null;
    const looked = eye(part);
    const open = $$("details[id][open]", part).map((d) => d.id);
    const scroll = $$("[id][data-live-scroll]", part).map((s) => [s.id, s.scrollTop, s.scrollLeft]);
    part.innerHTML = html; // from our own origin, autoescaped by the server; the CSP forbids inline script anyway
    open.forEach((id) => { const d = document.getElementById(id); if (d) d.open = true; });
    scroll.forEach(([id, top, left]) => { const s = document.getElementById(id); if (s) { s.scrollTop = top; s.scrollLeft = left; } });
    if (held) {
      const again = found(part, held);
      if (again) again.focus({ preventScroll: true });
    }
    refresh(part);
    const still = looked && document.getElementById(looked.id);
    if (still) scrollBy(0, still.getBoundingClientRect().top - looked.top);
    if (say && part.dataset.liveSay) say.textContent = part.dataset.liveSay;
    part.dispatchEvent(new CustomEvent("aegis:live", { bubbles: true }));
  }
  function count(text) { // "approvals=3 queues=1": the sidebar never contradicts what was just shown
    text.split(" ").forEach((pair) => {
      const [key, n] = pair.split("=");
      const badge = key && document.querySelector(".ag-side [data-count='" + key + "']");
      if (badge && /^\d+$/.test(n)) { badge.firstChild.data = n; badge.hidden = n === "0"; }
    });
  }
  function start(part) {
    let etag = part.dataset.liveEtag || "";
    let waiting = null;
    let failures = 0;
    const every = Math.max(1, Number(part.dataset.liveEvery || 4)) * 1000;
    async function turn() {
      if (document.hidden || !part.isConnected) return every;
      if (waiting !== null && !isBusy(part)) { swap(part, waiting); waiting = null; }
      try {
        const answer = await fetch(part.dataset.live, { headers: { "X-Requested-With": "fetch", ...(etag ? { "If-None-Match": etag } : {}) }, redirect: "manual" });
        failures = 0;
        if (answer.status === 304) return every;
        if (!answer.ok) {
          part.dataset.liveState = "stopped";
          if (say) say.textContent = "This page no longer updates by itself; reload it.";
          return 0;
        }
        etag = answer.headers.get("ETag") || "";
        count(answer.headers.get("X-Aegis-Counts") || "");
        const html = await answer.text();
        if (isBusy(part)) waiting = html; else { waiting = null; swap(part, html); }
      } catch (e) { failures = Math.min(failures + 1, 5); }
      return every * 2 ** failures;
    }
    const loop = async () => { const next = await turn(); if (next && part.isConnected) setTimeout(loop, next); };
    setTimeout(loop, every);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });
  }
  $$("[data-live]").forEach(start);
  window.Aegis.live = start;
}());

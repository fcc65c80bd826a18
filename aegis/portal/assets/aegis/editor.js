/* The document editor: line numbers, jump to the place of a finding, findings and picture while typing, and a text that is never
   lost. Everything works without this file too: Check and Apply are plain buttons of the form. */
(function () {
  "use strict";
  const form = document.querySelector("form[data-guard]");
  const area = document.getElementById("document-text");
  if (!form || !area) return;
  const numbers = document.getElementById("document-lines");
  const cursor = document.getElementById("document-cursor");
  const kept = document.getElementById("document-kept");
  const outcome = document.getElementById("outcome");

  /* places */
  function select(from, to) {
    area.focus();
    area.setSelectionRange(from, to);
    const line = area.value.slice(0, from).split("\n").length - 1;
    area.scrollTop = Math.max(0, line * parseFloat(getComputedStyle(area).lineHeight) - area.clientHeight / 3);
  }
  function go(number, column) {
    const lines = area.value.split("\n");
    const from = lines.slice(0, number - 1).join("\n").length + (number > 1 ? 1 : 0);
    const length = (lines[number - 1] || "").length;
    select(from + Math.min(column - 1, length), from + length);
  }
  document.addEventListener("click", (e) => {
    const b = e.target.closest("[data-goto-line]");
    if (b) go(Number(b.dataset.gotoLine), Number(b.dataset.gotoColumn || 1));
  });
  if (area.dataset.find) {
    const at = area.value.indexOf(area.dataset.find);
    if (at >= 0) select(at, at + area.dataset.find.length);
  }

  /* line numbers and the cursor's place */
  function number() {
    const count = area.value.split("\n").length;
    if (numbers && Number(numbers.dataset.count) !== count) {
      numbers.textContent = Array.from({ length: count }, (_, i) => i + 1).join("\n") + "\n\n";
      numbers.dataset.count = count;
    }
  }
  function place() {
    if (!cursor) return;
    const before = area.value.slice(0, area.selectionStart).split("\n");
    cursor.textContent = "line " + before.length + ", column " + (before[before.length - 1].length + 1);
  }
  area.addEventListener("scroll", () => { if (numbers) numbers.scrollTop = area.scrollTop; });
  ["keyup", "click", "focus", "input"].forEach((name) => area.addEventListener(name, place));
  area.addEventListener("input", number);
  number();

  /* a text that is typed is kept in this browser until it is applied or discarded */
  const slot = "aegis-draft:" + location.pathname;
  const base = form.elements.base ? form.elements.base.value : "";
  function stored() {
    try { return JSON.parse(localStorage.getItem(slot) || "null"); } catch (e) { return null; }
  }
  function keep(isSent) {
    try {
      localStorage.setItem(slot, JSON.stringify({ text: area.value, base, at: Date.now(), sent: Boolean(isSent) }));
      if (kept) kept.textContent = "kept in this browser";
    } catch (e) {
      if (kept) kept.textContent = "this browser keeps no drafts";
    }
  }
  function drop() { try { localStorage.removeItem(slot); } catch (e) { /* nothing was kept */ } }
  const banner = document.getElementById("draft");
  let draft = stored();
  if (draft && draft.sent && draft.base !== base) { // it was sent to be applied, and something was: most likely this
    drop();
    draft = null;
  }
  if (banner && draft && draft.text !== area.value) {
    banner.querySelector("[data-draft-when]").textContent = new Date(draft.at).toLocaleString();
    const from = banner.querySelector("[data-draft-base]");
    from.textContent = draft.base === base ? from.dataset.draftSame : from.dataset.draftMoved;
    banner.hidden = false;
    banner.addEventListener("click", (e) => {
      const b = e.target.closest("[data-draft]");
      if (!b) return;
      if (b.dataset.draft === "restore") {
        area.value = draft.text;
        area.dispatchEvent(new Event("input", { bubbles: true }));
        area.focus();
      } else drop();
      banner.hidden = true;
    });
  }

  /* findings while typing: the newest text wins, an answer to an older one is thrown away */
  let timer = 0;
  let asked = 0;
  async function check() {
    const mine = ++asked;
    try {
      const answer = await fetch(form.dataset.liveCheck, {
        method: "POST", body: new FormData(form), headers: { "X-Requested-With": "fetch" }, redirect: "manual",
      });
      if (mine !== asked) return;
      if (!answer.ok) throw new Error(String(answer.status));
      const open = Array.from(outcome.querySelectorAll("details[id][open]"), (d) => d.id);
      const html = await answer.text();
      if (mine !== asked) return;
      outcome.innerHTML = html; // from our own origin, autoescaped by the server; the CSP forbids inline script anyway
      open.forEach((id) => { const d = document.getElementById(id); if (d) d.open = true; });
      area.setAttribute("aria-invalid", String(Boolean(outcome.querySelector("#document-faults"))));
      if (window.Aegis && window.Aegis.refresh) window.Aegis.refresh(outcome);
    } catch (e) {
      const state = document.getElementById("document-state");
      if (state && mine === asked) state.textContent = "Not checked: the server did not answer. Your text is kept in this browser.";
    }
  }
  area.addEventListener("input", () => {
    keep();
    clearTimeout(timer);
    if (form.dataset.liveCheck && outcome) timer = setTimeout(check, 600);
  });
  if (form.dataset.liveCheck && outcome && !outcome.querySelector("#document-faults")) check();

  let sending = false;
  const fields = Array.from(form.querySelectorAll("textarea"));
  form.addEventListener("submit", (e) => {
    sending = true;
    if (e.submitter && e.submitter.value === "apply") keep(true);
  });
  addEventListener("beforeunload", (e) => {
    if (!sending && fields.some((f) => f.value !== f.defaultValue)) e.preventDefault();
  });
}());

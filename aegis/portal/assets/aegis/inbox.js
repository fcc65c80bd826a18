/* Approvals inbox. Everything here also works as plain pages; this saves the page loads and keeps what was typed.
   - a row opens beside the list when the screen is wide; its address is the page of that request
   - keys open forms, they never decide; off with User.single_key_shortcuts
   - drafts of a reason are kept per request and kind (sessionStorage) until the decision is sent
   - the polled list keeps the rows it showed: what others settled stays, greyed, in its place */
(function () {
  "use strict";
  const { $, $$, toast, keysOn, refresh, live } = window.Aegis;
  const ib = $(".ib");
  if (!ib) return;
  const pane = $("#ib-pane");
  const list = $("#ib-live");
  const wide = matchMedia("(min-width: 900px)");
  const draft = {
    get: (k) => { try { return sessionStorage.getItem("ag-draft:" + k) || ""; } catch (e) { return ""; } },
    set: (k, v) => { try { if (v) sessionStorage.setItem("ag-draft:" + k, v); else sessionStorage.removeItem("ag-draft:" + k); } catch (e) { /* private window */ } },
  };
  const rows = () => $$("[data-row]", list);
  const current = () => $("[data-row][aria-current='true']", list);
  const article = () => $(".ib-detail", pane);

  /* ---- the list ---- */
  const listUrl = new URL(list.dataset.live, location.href);
  function keepRows() {
    listUrl.searchParams.set("keep", rows().slice(0, 50).map((r) => r.dataset.row).join(","));
    list.dataset.live = listUrl.pathname + listUrl.search;
  }
  function mark() {
    const open = article();
    rows().forEach((r) => { if (open && r.dataset.row === open.dataset.for) r.setAttribute("aria-current", "true"); else r.removeAttribute("aria-current"); });
  }
  /* ---- what is selected: kept while the list is drawn anew, gone with the page ---- */
  const picked = new Set();
  const bar = $("#ib-together");
  function tick() {
    const boxes = $$("[data-pick]", list);
    const there = new Set(boxes.map((b) => b.value));
    [...picked].forEach((id) => { if (!there.has(id)) picked.delete(id); }); // decided by somebody else meanwhile
    boxes.forEach((b) => { b.checked = picked.has(b.value); });
    if (!bar) return;
    bar.hidden = !picked.size;
    $("[data-picked]", bar).textContent = picked.size + " selected";
    $("[data-unpick]", bar).hidden = false;
  }
  function pick(box, on) { if (on) picked.add(box.value); else picked.delete(box.value); tick(); }
  list.addEventListener("change", (e) => { if (e.target.matches("[data-pick]")) pick(e.target, e.target.checked); });
  if (bar) { bar.hidden = true; $("[data-unpick]", bar).addEventListener("click", () => { picked.clear(); tick(); }); }

  function takeUp() {
    const tabs = $("template[data-mirror='tabs']", list);
    const nav = $("[data-mirrored='tabs']");
    if (tabs && nav && !nav.contains(document.activeElement)) nav.replaceChildren(tabs.content.cloneNode(true));
    const filters = $("template[data-mirror='filters']", list);
    const place = $("[data-mirrored='filters']");
    if (filters && place && !place.childElementCount) place.replaceChildren(filters.content.cloneNode(true));
    mark(); tick(); keepRows();
  }
  list.addEventListener("aegis:live", takeUp);
  async function fillList() {
    try {
      const answer = await fetch(list.dataset.live, { headers: { "X-Requested-With": "fetch" } });
      if (!answer.ok) return;
      list.innerHTML = await answer.text(); // from our own origin, autoescaped by the server
      refresh(list); takeUp();
      const at = current(); if (at) at.scrollIntoView({ block: "nearest" });
    } catch (e) { /* the link to the list stays */ }
  }

  /* ---- the pane ---- */
  const address = () => location.pathname + location.search;
  let here = address();
  let asked = 0;
  let opening = null; // until the picked request is there, the one on screen takes neither clicks nor keys
  function open(href, opts) {
    pane.inert = true;
    const mine = opening = fill(href, opts).finally(() => { if (opening === mine) { opening = null; pane.inert = false; } });
  }
  async function fill(href, opts) {
    const turn = ++asked;
    const url = new URL(href, location.href);
    url.hash = "";
    url.searchParams.set("part", "pane");
    let answer;
    try { answer = await fetch(url, { headers: { "X-Requested-With": "fetch" } }); } catch (e) { location.assign(href); return; }
    if (!answer.ok || answer.redirected) { location.assign(href); return; }
    const html = await answer.text();
    if (turn !== asked) return; // a later row was picked meanwhile
    pane.inert = false;
    pane.innerHTML = html; // from our own origin, autoescaped by the server
    refresh(pane);
    if (opts.push) { history.pushState({ aegis: "request" }, "", href); here = address(); }
    $$("[data-live]", pane).forEach((part) => live(part));
    ready(); mark();
    const question = $("#question", pane);
    if (question) document.title = question.textContent + " · AEGIS";
    if (opts.focus === "question" && question) question.focus({ preventScroll: true });
    const at = current(); if (at) at.scrollIntoView({ block: "nearest" });
  }
  function go(row, focus) {
    if (!row) return;
    if (!wide.matches) { location.assign(row.href); return; }
    open(row.href, { push: true, focus });
    if (focus === "row") row.focus({ preventScroll: true });
  }
  function move(step) {
    const all = rows();
    const at = all.indexOf(document.activeElement && document.activeElement.closest("[data-row]") || current());
    go(all[Math.min(all.length - 1, Math.max(0, at + step))], "row");
  }

  /* ---- forms ---- */
  const forms = () => $$(".ib-form", pane);
  const openForm = () => forms().find((f) => !f.hidden);
  function missing(form) {
    return $$("[data-needed]", form).filter((f) => {
      const text = f.value.trim().replace(/\s+/g, " ");
      return f.dataset.must ? text !== f.dataset.must.trim().replace(/\s+/g, " ") : !text;
    }).map((f) => f.dataset.needed);
  }
  function check(form) {
    const lacks = missing(form);
    $("[data-missing]", form).textContent = lacks.length ? "Still missing: " + lacks.join(", ") : "Ready.";
    $("[data-go]", form).setAttribute("aria-disabled", String(lacks.length > 0));
    return !lacks.length;
  }
  function show(kind) {
    const form = $("#form-" + kind, pane);
    if (!form) { const why = $("#eligibility", pane); if (why) toast(why.textContent.trim()); return; }
    forms().forEach((f) => { f.hidden = f !== form; });
    $$("[data-act]", pane).forEach((b) => b.setAttribute("aria-expanded", String(b.dataset.act === kind)));
    check(form);
    ($(".ib-edit input, .ib-edit textarea, .ib-edit select", form) || $("[data-reason]", form)).focus();
  }
  function close() {
    const form = openForm();
    if (!form) return false;
    form.hidden = true;
    const button = $("[data-act='" + form.dataset.kind + "']", pane);
    if (button) { button.setAttribute("aria-expanded", "false"); button.focus(); }
    return true;
  }
  function same(on) {
    const button = $("[data-same]", pane);
    if (!button) return;
    button.hidden = false;
    button.setAttribute("aria-expanded", String(on));
    $$("tr.is-same", pane).forEach((tr) => { tr.hidden = !on; });
    $("span", button).textContent = (on ? "Hide " : "Show ") + button.dataset.n + " unchanged";
  }
  /* An edit keeps every field that was typed, as long as it is of what is shown. */
  const fields = (form) => $$(".ib-edit input, .ib-edit textarea, .ib-edit select", form);
  const keyOf = (form) => form.dataset.draft + ":" + form.elements.seen_digest.value;
  function keepFields(form) {
    draft.set(keyOf(form), JSON.stringify(fields(form).map((f) => (f.type === "checkbox" ? f.checked : f.value))));
  }
  function recall(form) {
    let kept;
    try { kept = JSON.parse(draft.get(keyOf(form)) || "[]"); } catch (e) { return; }
    fields(form).forEach((f, n) => { if (n >= kept.length) return; if (f.type === "checkbox") f.checked = kept[n]; else f.value = kept[n]; });
  }
  function ready() {
    same(false);
    $$("[data-act]", pane).forEach((b) => { b.setAttribute("role", "button"); b.setAttribute("aria-controls", "form-" + b.dataset.act); b.setAttribute("aria-expanded", String(Boolean($("#form-" + b.dataset.act + ":not([hidden])", pane)))); });
    forms().forEach((form) => {
      const reason = $("[data-reason]", form);
      if (!reason.value) reason.value = draft.get(form.dataset.draft);
      if (form.dataset.kind === "edit" && !$(".ag-error", form)) recall(form);
      check(form);
    });
    const shown = openForm();
    if (shown) { const wrong = $("[aria-invalid='true']", shown) || $("[data-reason]", shown); wrong.focus(); }
  }

  ib.addEventListener("click", (e) => {
    const el = e.target.closest("[data-row],[data-act],[data-form-close],[data-same],[data-back]");
    if (!el || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    if (el.matches("[data-row]")) { if (wide.matches) { e.preventDefault(); go(el, "question"); } }
    else if (el.matches("[data-act]")) { e.preventDefault(); show(el.dataset.act); }
    else if (el.matches("[data-form-close]")) { e.preventDefault(); close(); }
    else if (el.matches("[data-same]")) same(el.getAttribute("aria-expanded") !== "true");
  });
  ib.addEventListener("keydown", (e) => { // a link that acts as a button answers to Space, too
    if (e.key === " " && e.target.matches("[data-act]")) { e.preventDefault(); show(e.target.dataset.act); }
  });
  ib.addEventListener("input", (e) => {
    const form = e.target.closest(".ib-form");
    if (!form) return;
    if (form.dataset.kind === "edit" && e.target.closest(".ib-edit")) keepFields(form);
    if (e.target.matches("[data-reason]")) draft.set(form.dataset.draft, e.target.value);
    check(form);
  });
  ib.addEventListener("submit", (e) => {
    const form = e.target.closest(".ib-form");
    if (!form) return;
    if (!check(form)) { e.preventDefault(); const first = $$("[data-needed]", form).find((f) => missing(form).includes(f.dataset.needed)); if (first) first.focus(); return; }
    draft.set("sent", form.dataset.draft); // forgotten once the server has taken it
  });
  pane.addEventListener("aegis:live", (e) => { // it moved while the reader looked at it
    const moved = $("[data-moved]", e.target);
    if (!moved || moved.dataset.moved !== "closed") return;
    const button = $("[data-act='approve']", pane);
    if (button) { button.setAttribute("aria-disabled", "true"); }
  });

  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") {
      if (close()) return;
      if (e.target.matches("[data-q]")) { e.target.blur(); const c = current(); if (c) c.focus(); return; }
      if (!wide.matches && ib.dataset.view === "item") { const back = $("[data-back]", pane); if (back) back.click(); }
      return;
    }
    if (e.ctrlKey || e.metaKey || e.altKey || !keysOn()) return;
    if (e.target.matches("input:not([type=checkbox]),textarea,select") || $("dialog[open]")) return;
    const act = { a: "approve", r: "reject", c: "request_changes", e: "edit" }[e.key];
    if (act && opening) { e.preventDefault(); opening.then(() => show(act)); }
    else if (act) { if (article()) { e.preventDefault(); show(act); } }
    else if (e.key === "j" || e.key === "k") { e.preventDefault(); move(e.key === "j" ? 1 : -1); }
    else if (e.key === "o") { const row = current(); if (row) { e.preventDefault(); go(row, "question"); } }
    else if (e.key === "x") { const row = current(); const box = row && $("[data-pick]", row.closest("li")); e.preventDefault(); if (box) pick(box, !box.checked); else toast("This one is decided by itself"); }
    else if ("tmd".includes(e.key)) {
      const one = $({ t: "[data-take]", m: "[data-say]", d: "[data-give]" }[e.key], pane);
      if (one && !opening) { e.preventDefault(); if (e.key === "t") one.form.requestSubmit(); else { one.focus(); one.scrollIntoView({ block: "center" }); } }
    }
    else if (e.key === "/") { const q = $("[data-q]"); if (q) { e.preventDefault(); q.focus(); } }
    else if (e.key === "?") { e.preventDefault(); $("#keys").showModal(); }
  });
  addEventListener("popstate", () => {
    if (address() === here) return; // a link inside the page, as the one that skips the navigation
    here = address();
    if (/\/approvals\/[0-9a-f-]{36}\//.test(location.pathname) && wide.matches) open(location.href, { push: false, focus: "question" });
    else location.reload();
  });

  /* ---- on arrival ---- */
  if (!$("[role='alert']", ib)) draft.set(draft.get("sent"), "");
  draft.set("sent", "");
  forms().forEach((form) => { // what came back with a fault is the newest draft
    const reason = $("[data-reason]", form);
    if (reason.value) draft.set(form.dataset.draft, reason.value);
  });
  const kept = $("#kept");
  if (kept) Object.keys(sessionStorage).filter((k) => k.includes(article().dataset.for)).forEach((k) => sessionStorage.removeItem(k));
  if (article()) {
    ready();
    if (wide.matches) fillList();
    if (!openForm() && $(".ag-messages")) $("#question").focus({ preventScroll: true }); // the next one, after a decision
  } else {
    takeUp();
    const first = rows()[0];
    if (wide.matches && first) open(first.href, { push: false, focus: "none" });
  }
}());

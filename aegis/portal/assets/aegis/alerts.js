/* Alerts: the keys of the inbox. j and k move, Enter opens (a link does by itself); a, n and s open a form of the page, they
   never act; Escape closes it. Off with User.single_key_shortcuts; each has a link or a button. */
(function () {
  "use strict";
  const { $, $$, keysOn } = window.Aegis;
  const rows = () => $$("[data-row]", document);

  function move(by) {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)].focus();
  }
  function open(form) {
    $$(".al-act[open]").forEach((other) => { if (other !== form) other.open = false; });
    form.open = true;
    const field = $("textarea", form);
    if (field) field.focus();
  }
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") {
      const shown = $(".al-act[open]");
      if (shown) { shown.open = false; $("summary", shown).focus(); }
      return;
    }
    if (!keysOn() || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input,textarea,select,[contenteditable]")) return;
    if (e.key === "j" || e.key === "k") { e.preventDefault(); move(e.key === "j" ? 1 : -1); return; }
    const form = $$(".al-act[data-key]").find((one) => one.dataset.key === e.key);
    if (form) { e.preventDefault(); open(form); }
  });
  $$(".al-act").forEach((form) => form.addEventListener("toggle", () => { if (form.open) open(form); }));
}());

/* Halts: "h" goes to the form that halts something, "/" is the search of the shell as anywhere. Single keys never halt. */
(() => {
  "use strict";
  const { $, keysOn } = window.Aegis;
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || !keysOn() || e.key !== "h") return;
    if (e.target.closest("input, textarea, select, [contenteditable]")) return;
    const target = $("#halt-target");
    if (target) { e.preventDefault(); target.focus(); target.scrollIntoView({ block: "center" }); }
  });
})();

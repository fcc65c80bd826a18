/* The button that opens the browser's own print window. Without this file the page prints as every page does. */
(function () {
  "use strict";
  const button = document.getElementById("mp-print");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}());

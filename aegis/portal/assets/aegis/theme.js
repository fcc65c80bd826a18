// Runs before the first paint (no defer): sets <html class="dark"> from the reader's choice, else from the system.
// The key and its JSON form are the ones Unfold's Alpine components persist ("adminTheme").
(function () {
  "use strict";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  function chosen() {
    try { return JSON.parse(localStorage.getItem("adminTheme") || '"auto"'); } catch (e) { return "auto"; }
  }
  function apply() {
    const theme = chosen();
    document.documentElement.classList.toggle("dark", theme === "dark" || (theme !== "light" && dark.matches));
  }
  window.aegisTheme = {
    isDark: () => document.documentElement.classList.contains("dark"),
    set(theme) {
      try { localStorage.setItem("adminTheme", JSON.stringify(theme)); } catch (e) { /* private window */ }
      document.documentElement.classList.toggle("dark", theme === "dark");
    },
  };
  dark.addEventListener("change", apply);
  apply();
}());

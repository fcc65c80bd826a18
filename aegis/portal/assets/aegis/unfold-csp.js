// Lets what is left of Unfold 0.91's Alpine parts (filter sheet, password toggle) run on @alpinejs/csp, without 'unsafe-eval'.
// The shell itself (skeleton, sidebar, header, search) is ours and needs no Alpine. Loaded before Alpine, after app.js.
// The one component on <html> and <body> replaces inline expressions that the CSP evaluator refuses.
window.Chart = window.Chart || { defaults: { font: {} } }; // app.js touches it on load; we draw no canvas charts
document.addEventListener("alpine:init", () => {
  "use strict";
  const A = window.Alpine;
  ["tabNavigation", "searchForm", "searchDropdown"].forEach((n) => {
    if (typeof window[n] === "function") A.data(n, window[n]);
  });
  A.data("aegisShell", () => ({
    openModal: false, filterOpen: false, openAllApplications: false, activeTab: "",
    sidebarMobileOpen: false, sidebarDesktopOpen: true,
    adminTheme: window.aegisTheme.isDark() ? "dark" : "light",
    switchTheme(theme) { window.aegisTheme.set(theme); this.adminTheme = theme; },
  }));
});

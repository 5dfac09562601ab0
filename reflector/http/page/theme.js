// Before anything is drawn: the theme that was chosen, or that of the system.
(function () {
  var chosen = null;
  try { chosen = localStorage.getItem("martlet-theme"); } catch (error) { /* not kept, then */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();

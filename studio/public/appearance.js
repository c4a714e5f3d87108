// Runs before the first paint so that a dark page never flashes white. A file of its own because the CSP forbids inline
// scripts.
(function () {
  try {
    var chosen = localStorage.getItem("tabulary.appearance");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be forbidden; the system's preference then decides.
  }
})();

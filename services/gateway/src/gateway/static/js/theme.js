// Runs before the first paint, so that the page never flashes in the wrong colours.
// The choice is "light", "dark" or, where nothing is stored, the system's.

(() => {
  const root = document.documentElement;
  root.classList.add("js");
  root.dataset.live = "connecting";
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch {
    // Storage is blocked: the system's theme it is.
  }
})();

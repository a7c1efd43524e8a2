// Behaviour shared by all pages: CSRF header, live connection, theme, copy buttons, times. Everything is
// delegated from the document, so that parts replaced by htmx need no wiring.

(() => {
  "use strict";

  const root = document.documentElement;
  // Close codes after which the WebSocket extension connects again by itself.
  const RECONNECTING_CODES = new Set([1006, 1012, 1013]);
  const EARLY_CHIPS_LIMIT = 2000;
  const RELATIVE_TIME_INTERVAL_MS = 30_000;

  const csrfToken = () => document.querySelector('meta[name="csrf-token"]').content;

  // --- htmx ---

  document.addEventListener("htmx:configRequest", (event) => {
    const { headers, verb, parameters } = event.detail;
    if (verb !== "get") {
      headers["X-CSRF-Token"] = csrfToken();
      return;
    }
    for (const [name, value] of Object.entries(parameters)) if (value === "") delete parameters[name];
  });

  // 422 carries the form again, with what is wrong in it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status === 422) Object.assign(event.detail, { shouldSwap: true, isError: false });
  });

  document.addEventListener("htmx:responseError", (event) => {
    const { status } = event.detail.xhr;
    if (status === 401) return location.assign("/sign-in");
    flash(problemOf(event.detail.xhr).text);
  });

  document.addEventListener("htmx:sendError", () => flash("The server does not answer. Check the connection and try again."));

  function problemOf(xhr) {
    let problem = {};
    try {
      problem = JSON.parse(xhr.responseText);
    } catch {
      // Not a problem document: the status has to do.
    }
    const title = typeof problem.title === "string" ? problem.title : `The server answered with error ${xhr.status}`;
    const detail = typeof problem.detail === "string" ? problem.detail : "";
    return { title, detail, text: detail ? `${title}. ${detail}` : `${title}.` };
  }

  function flash(text) {
    const box = document.createElement("div");
    box.className = "mb-5 flex items-start gap-3 rounded-lg border border-tone-line bg-tone-soft px-4 py-3";
    box.dataset.tone = "malicious";
    box.setAttribute("role", "alert");
    box.textContent = text;
    document.getElementById("flashes")?.replaceChildren(box);
    box.scrollIntoView({ block: "nearest" });
  }

  // --- live connection ---

  const setLive = (state) => {
    root.dataset.live = state;
  };
  document.addEventListener("htmx:wsConnecting", () => setLive(root.dataset.live === "waiting" ? "waiting" : "connecting"));
  document.addEventListener("htmx:wsOpen", () => setLive("open"));
  document.addEventListener("htmx:wsClose", (event) => {
    const scan = document.getElementById("scan-live");
    if (scan?.dataset.liveScan === "false") return setLive("done");
    setLive(RECONNECTING_CODES.has(event.detail.event.code) ? "waiting" : "closed");
  });

  // A live part is replaced as a whole. What the reader has opened stays open, and focus stays where it was.
  let kept = null;
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const target = event.detail.target;
    const focused = document.activeElement;
    kept = {
      open: [...target.querySelectorAll("details[open][id]")].map((details) => details.id),
      focus: target.contains(focused) ? focusPath(focused) : null,
    };
  });
  document.addEventListener("htmx:oobAfterSwap", (event) => {
    const live = document.getElementById(event.detail.target?.id) ?? event.detail.target;
    announce(live);
    if (live?.dataset?.liveScan === "false" && root.dataset.live === "open") setLive("done");
    for (const id of kept?.open ?? []) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    }
    restoreFocus(kept?.focus);
    kept = null;
    refreshTimes();
  });

  // Focus inside a part that is replaced is found again by the nearest id and the position below it.
  function focusPath(element) {
    const anchor = element.closest("[id]");
    const inside = [...anchor.querySelectorAll("a, button, summary")];
    return { id: anchor.id, index: inside.indexOf(element) };
  }

  function restoreFocus(path) {
    if (!path) return;
    const anchor = document.getElementById(path.id);
    const element = path.index < 0 ? anchor : anchor?.querySelectorAll("a, button, summary")[path.index];
    element?.focus({ preventScroll: true });
  }

  let announced = document.getElementById("scan-live")?.dataset.announce ?? "";
  function announce(element) {
    const text = element?.dataset?.announce;
    if (!text || text === announced) return;
    announced = text;
    document.getElementById("announcer").textContent = text;
  }

  // A message for a list holds the chips of many submissions, of which the page shows some. htmx would report each
  // of the others as an error, so chips are put in place here. One can also arrive before its row does, when the
  // scan was faster than the answer to the upload: such chips are kept for upload.js, the oldest dropped.
  const early = new Map();
  document.addEventListener("htmx:wsBeforeMessage", (event) => {
    if (!/^\s*<span id="submission-/.test(event.detail.message)) return;
    event.preventDefault();
    const template = document.createElement("template");
    template.innerHTML = event.detail.message;
    for (const chip of [...template.content.children]) placeChip(chip);
  });

  function placeChip(chip) {
    const place = document.getElementById(chip.id);
    if (!place) {
      early.delete(chip.id);
      early.set(chip.id, chip);
      if (early.size > EARLY_CHIPS_LIMIT) early.delete(early.keys().next().value);
    } else if (!place.isEqualNode(chip)) {
      if (chip.dataset.announce !== place.dataset.announce) announce(chip);
      place.replaceWith(chip);
    }
  }

  // --- theme ---

  function showTheme() {
    const theme = root.dataset.theme ?? "system";
    for (const button of document.querySelectorAll("[data-set-theme]")) {
      button.setAttribute("aria-pressed", String(button.dataset.setTheme === theme));
    }
  }

  function setTheme(theme) {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    try {
      if (theme === "system") localStorage.removeItem("theme");
      else localStorage.setItem("theme", theme);
    } catch {
      // Storage is blocked: the choice holds for this page.
    }
    showTheme();
  }

  // --- copy ---

  async function copy(button) {
    const done = (await writeClipboard(button.dataset.copy)) ? "check" : "x";
    const use = button.querySelector("use");
    use.setAttribute("href", `#i-${done}`);
    document.getElementById("announcer").textContent = done === "check" ? "Copied" : "Could not copy";
    setTimeout(() => use.setAttribute("href", "#i-copy"), 1500);
  }

  async function writeClipboard(text) {
    if (navigator.clipboard && window.isSecureContext) {
      return navigator.clipboard.writeText(text).then(() => true, () => false);
    }
    // Plain HTTP on a local network has no clipboard API.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "sr-only";
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }

  // --- times ---

  function relativeText(date) {
    const seconds = (Date.now() - date) / 1000;
    if (seconds > -60 && seconds < 45) return "just now";
    for (const [limit, size, unit] of [[5400, 60, "min"], [129600, 3600, "h"], [604800, 86400, "d"]]) {
      if (seconds > 0 && seconds < limit) return `${Math.max(1, Math.round(seconds / size))} ${unit} ago`;
    }
    return null;
  }

  function refreshTimes() {
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const text = relativeText(Date.parse(time.dateTime));
      if (text && text !== time.textContent) time.textContent = text;
    }
  }

  // --- clicks and keys ---

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-copy], [data-set-theme], [data-dismiss]");
    if (target?.dataset.copy !== undefined) copy(target);
    else if (target?.dataset.setTheme) setTheme(target.dataset.setTheme);
    else if (target) target.closest("[data-flash]").remove();
    for (const menu of document.querySelectorAll("details[data-menu][open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.querySelector("details[data-menu][open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  // A link to an artifact opens it.
  function openTarget() {
    const details = location.hash.startsWith("#artifact-") && document.getElementById(`${location.hash.slice(1)}-more`);
    if (details) details.open = true;
  }
  window.addEventListener("hashchange", openTarget);

  showTheme();
  openTarget();
  refreshTimes();
  setInterval(refreshTimes, RELATIVE_TIME_INTERVAL_MS);

  window.fumehood = { csrfToken, early, problemOf };
})();

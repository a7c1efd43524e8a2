// The drop zone: many files at once, three at a time, each with its progress, and a retry that never duplicates.

document.addEventListener("alpine:init", () => {
  "use strict";

  const CONCURRENT_UPLOADS = 3;
  const SHOWN_AT_ONCE = 200;
  const NAME_WIDTH = 56;
  const DEFAULT_RETRY_SECONDS = 5;
  const FOLDER_ENTRIES_LIMIT = 100_000;

  // The same rule as file_name() on the server: what would be invisible is written as its code point.
  const HIDDEN = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}\u00a0\u034f\u115f\u1160\u180b-\u180e\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\uffa0]/gu;

  const codePoint = (c) => `U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

  function visibleName(name) {
    return name.replace(HIDDEN, (c) => `<${codePoint(c)}>`);
  }

  // A name in pieces to draw: runs of text, chips for hidden characters, and the cut in the middle of a long one.
  function namePartsOf(name) {
    let characters = [...name];
    if (characters.length > NAME_WIDTH) {
      const tail = Math.floor(NAME_WIDTH / 3);
      characters = [...characters.slice(0, NAME_WIDTH - tail - 1), "…", ...characters.slice(-tail)];
    }
    const parts = [];
    for (const c of characters) {
      const last = parts.at(-1);
      if (c.search(HIDDEN) >= 0) parts.push({ key: parts.length, text: codePoint(c), look: "code-point" });
      else if (last?.look === "") last.text += c;
      else parts.push({ key: parts.length, text: c, look: "" });
    }
    return parts;
  }

  function sizeText(bytes) {
    if (bytes < 1000) return `${bytes} B`;
    const units = ["kB", "MB", "GB", "TB", "PB"];
    let size = bytes;
    let unit = -1;
    do {
      size /= 1000;
      unit += 1;
    } while (size >= 999.5 && unit < units.length - 1);
    return `${size.toFixed(size >= 99.95 ? 0 : 1)} ${units[unit]}`;
  }

  function randomKey() {
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function countText(count, noun) {
    return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
  }

  // A dropped folder is read through the entries API; `File` objects come at the end, one by one.
  async function filesOf(transfer) {
    const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry());
    if (entries.length === 0 || entries.includes(null)) return { files: [...transfer.files], unread: 0 };
    const files = [];
    let unread = 0;
    const waiting = entries;
    while (waiting.length > 0 && files.length < FOLDER_ENTRIES_LIMIT) {
      const entry = waiting.shift();
      try {
        if (entry.isDirectory) waiting.push(...(await readFolder(entry)));
        else files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
      } catch {
        unread += 1;
      }
    }
    return { files, unread: unread + waiting.length };
  }

  async function readFolder(folder) {
    const reader = folder.createReader();
    const all = [];
    for (;;) {
      // A reader gives at most 100 entries at a time.
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return all;
      all.push(...some);
    }
  }

  function newItem(file) {
    const key = randomKey();
    return {
      key,
      idempotencyKey: key,
      fullName: visibleName(file.name),
      nameParts: namePartsOf(file.name),
      sizeText: sizeText(file.size),
      sizeBytes: file.size,
      removeLabel: `Cancel ${visibleName(file.name)}`,
      progressLabel: `Upload of ${visibleName(file.name)}`,
      state: "waiting",
      note: "Waiting",
      percent: 0,
      received: false,
      page: "",
      chipId: "",
      errorTitle: "",
      errorDetail: "",
      errorHref: "",
      errorAction: "",
      error: false,
      retryable: false,
    };
  }

  // What the person can do about each answer; undefined means that the problem document says enough.
  function failureOf(xhr) {
    const problem = window.fumehood.problemOf(xhr);
    const failure = { title: `${problem.title}.`, detail: problem.detail, retryable: xhr.status >= 500 };
    if (xhr.status === 401) {
      return { title: "You are signed out.", detail: "Files that were received are safe.", href: "/sign-in", action: "Sign in again", retryable: true };
    }
    if (xhr.status === 403) return { ...failure, href: "/", action: "Reload the page", retryable: false };
    if (xhr.status === 413 && !problem.detail) failure.detail = "Unpack it and submit the parts, or ask an administrator to raise the limit.";
    if (xhr.status >= 500 && !problem.detail) failure.detail = "Nothing was lost on your side: try again in a moment.";
    return failure;
  }

  Alpine.data("uploader", () => ({
    items: [],
    over: 0,
    limit: SHOWN_AT_ONCE,
    pausedUntil: 0,
    pauseSeconds: 0,
    unread: 0,

    init() {
      // Files and requests stay out of the reactive state: a proxy around them breaks them.
      this.files = new Map();
      this.requests = new Map();
      this.maxBytes = Number(this.$root.dataset.maxBytes);
      window.addEventListener("beforeunload", (event) => {
        if (this.hasActive) event.preventDefault();
      });
    },

    // --- what the page shows ---

    get hoodClass() {
      return this.over > 0 ? "is-over" : "";
    },
    get hasItems() {
      return this.items.length > 0;
    },
    get hasActive() {
      return this.items.some((item) => item.state === "waiting" || item.state === "uploading");
    },
    get hasFailed() {
      return this.items.some((item) => item.state === "failed" && item.retryable);
    },
    get hasSettled() {
      return this.items.some((item) => item.state === "received" || item.state === "failed");
    },
    get shownItems() {
      return this.items.slice(0, this.limit);
    },
    get hiddenCount() {
      return Math.max(0, this.items.length - this.limit);
    },
    get moreLabel() {
      return `Show ${countText(Math.min(this.hiddenCount, SHOWN_AT_ONCE), "more file")}`;
    },
    get summary() {
      if (this.pauseSeconds > 0) return `Asked to slow down. Going on in ${countText(this.pauseSeconds, "second")}`;
      const active = this.items.filter((item) => item.state === "waiting" || item.state === "uploading").length;
      const failed = this.items.filter((item) => item.state === "failed").length;
      const received = this.items.filter((item) => item.state === "received").length;
      const parts = [];
      if (active > 0) parts.push(`${countText(active, "file")} to send`);
      if (received > 0) parts.push(`${received.toLocaleString("en")} received`);
      if (failed > 0) parts.push(`${failed.toLocaleString("en")} not sent`);
      if (this.unread > 0) parts.push(`${countText(this.unread, "entry").replace("entrys", "entries")} could not be read`);
      return parts.length > 0 ? parts.join(" · ") : "Ready";
    },
    // Used inside the list, where `item` is in scope.
    get isReceived() {
      return this.item.state === "received";
    },
    get isLocal() {
      return this.item.state !== "received";
    },
    get isMoving() {
      return this.item.state === "waiting" || this.item.state === "uploading";
    },
    get canRetry() {
      return this.item.state === "failed" && this.item.retryable;
    },
    get canRemove() {
      return this.item.state !== "received";
    },

    // --- choosing files ---

    dragEnter(event) {
      if (event.dataTransfer.types.includes("Files")) this.over += 1;
    },
    dragOver(event) {
      event.dataTransfer.dropEffect = "copy";
    },
    dragLeave() {
      this.over = Math.max(0, this.over - 1);
    },
    async drop(event) {
      this.over = 0;
      const { files, unread } = await filesOf(event.dataTransfer);
      this.unread += unread;
      this.add(files);
    },
    chooseFiles() {
      this.$refs.files.click();
    },
    chooseFolder() {
      this.$refs.folder.click();
    },
    picked(event) {
      this.add([...event.target.files]);
      event.target.value = "";
    },

    add(files) {
      const added = files.map((file) => {
        const item = newItem(file);
        this.files.set(item.key, file);
        return item;
      });
      this.items.unshift(...added);
      for (const item of this.items.slice(0, added.length)) {
        if (item.sizeBytes > this.maxBytes) {
          this.fail(item, {
            title: `Larger than ${sizeText(this.maxBytes)}.`,
            detail: "Unpack it and submit the parts, or ask an administrator to raise the limit.",
            retryable: false,
          });
        }
      }
      this.pump();
    },

    // --- sending ---

    pump() {
      if (Date.now() < this.pausedUntil) return;
      let free = CONCURRENT_UPLOADS - this.requests.size;
      for (const item of this.items) {
        if (free <= 0) return;
        if (item.state !== "waiting") continue;
        this.send(item);
        free -= 1;
      }
    },

    send(item) {
      const body = new FormData();
      body.append("csrf_token", window.fumehood.csrfToken());
      const file = this.files.get(item.key);
      body.append("file", file, file.name);
      const xhr = new XMLHttpRequest();
      xhr.open("POST", "/files");
      xhr.setRequestHeader("Accept", "application/json");
      xhr.setRequestHeader("X-CSRF-Token", window.fumehood.csrfToken());
      xhr.setRequestHeader("Idempotency-Key", item.idempotencyKey);
      xhr.upload.addEventListener("progress", (event) => {
        if (!event.lengthComputable || item.state !== "uploading") return;
        item.percent = Math.floor((event.loaded / event.total) * 100);
        item.note = item.percent < 100 ? `Uploading ${item.percent} %` : "Being stored";
      });
      xhr.addEventListener("load", () => this.answered(item, xhr));
      xhr.addEventListener("error", () =>
        this.fail(item, {
          title: "The connection broke.",
          detail: "The file was not sent completely, or its answer was lost. A retry does not submit it twice.",
          retryable: true,
        }),
      );
      xhr.addEventListener("loadend", () => {
        this.requests.delete(item.key);
        this.pump();
      });
      Object.assign(item, { state: "uploading", note: "Uploading 0 %", percent: 0 });
      this.requests.set(item.key, xhr);
      xhr.send(body);
    },

    answered(item, xhr) {
      if (xhr.status === 429) return this.pause(item, xhr);
      if (xhr.status < 200 || xhr.status >= 300) return this.fail(item, failureOf(xhr));
      let answer;
      try {
        answer = JSON.parse(xhr.responseText);
      } catch {
        return this.fail(item, { title: "The server's answer could not be read.", detail: "A retry does not submit the file twice.", retryable: true });
      }
      this.files.delete(item.key);
      const page = answer.links?.page ?? `/submissions/${encodeURIComponent(answer.id)}`;
      Object.assign(item, { state: "received", received: true, percent: 100, chipId: `submission-${answer.id}`, page });
      this.$nextTick(() => this.takeEarlyChip(item.chipId));
    },

    // The verdict may have come before the row; app.js has kept it.
    takeEarlyChip(id) {
      const chip = window.fumehood.early.get(id);
      const place = document.getElementById(id);
      if (!chip || !place) return;
      place.replaceWith(chip);
      window.fumehood.early.delete(id);
    },

    pause(item, xhr) {
      const seconds = Number.parseInt(xhr.getResponseHeader("Retry-After") ?? "", 10);
      const wait = Number.isFinite(seconds) && seconds > 0 ? seconds : DEFAULT_RETRY_SECONDS;
      Object.assign(item, { state: "waiting", note: "Waiting: the server asked to slow down", percent: 0 });
      this.pausedUntil = Math.max(this.pausedUntil, Date.now() + wait * 1000);
      if (this.pauseSeconds === 0) this.countDown();
    },

    countDown() {
      this.pauseSeconds = Math.ceil(Math.max(0, this.pausedUntil - Date.now()) / 1000);
      if (this.pauseSeconds > 0) setTimeout(() => this.countDown(), 250);
      else this.pump();
    },

    fail(item, failure) {
      Object.assign(item, {
        state: "failed",
        note: "",
        percent: 0,
        error: true,
        errorTitle: failure.title,
        errorDetail: failure.detail ?? "",
        errorHref: failure.href ?? "",
        errorAction: failure.action ?? "",
        retryable: failure.retryable,
        removeLabel: `Remove ${item.fullName}`,
      });
    },

    // --- what the person can do ---

    retry(event) {
      this.again(this.find(event));
      this.pump();
    },
    retryFailed() {
      for (const item of this.items) if (item.state === "failed" && item.retryable) this.again(item);
      this.pump();
    },
    remove(event) {
      this.forget(this.find(event));
      this.pump();
    },
    cancelAll() {
      for (const item of [...this.items]) if (item.state === "waiting" || item.state === "uploading") this.forget(item);
    },
    clearSettled() {
      this.unread = 0;
      for (const item of [...this.items]) if (item.state === "received" || item.state === "failed") this.forget(item);
    },
    showMore() {
      const first = this.limit;
      this.limit += SHOWN_AT_ONCE;
      this.$nextTick(() => {
        for (const item of this.items.slice(first, this.limit)) if (item.chipId) this.takeEarlyChip(item.chipId);
      });
    },

    find(event) {
      return this.items.find((item) => item.key === event.currentTarget.dataset.key);
    },
    again(item) {
      Object.assign(item, { state: "waiting", note: "Waiting", error: false, percent: 0 });
    },
    forget(item) {
      this.requests.get(item.key)?.abort();
      this.files.delete(item.key);
      this.items = this.items.filter((other) => other.key !== item.key);
    },
  }));
});

// Builds everything under ../src/gateway/static that is not written by hand, and the icon sprite template.
// The results are committed, so that running Fumehood needs no Node; a rebuild gives the same bytes.
// `node build.mjs FOLDER` builds into another folder, to compare.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "node_modules");
const gateway = process.argv[2] ? resolve(process.argv[2]) : join(here, "..", "src", "gateway");
const vendor = join(gateway, "static", "vendor");
const fonts = join(gateway, "static", "fonts");

const scripts = [
  ["htmx.org", "dist/htmx.min.js", "htmx.min.js"],
  ["htmx-ext-ws", "ws.js", "htmx-ext-ws.js"],
  ["@alpinejs/csp", "dist/cdn.min.js", "alpine-csp.min.js"],
  ["swagger-ui-dist", "swagger-ui-bundle.js", "swagger-ui-bundle.js"],
  ["swagger-ui-dist", "swagger-ui.css", "swagger-ui.css"],
];

const fontFiles = [
  ["@fontsource-variable/ibm-plex-sans", "files/ibm-plex-sans-latin-wght-normal.woff2"],
  ["@fontsource-variable/ibm-plex-sans", "files/ibm-plex-sans-latin-ext-wght-normal.woff2"],
  ["@fontsource/ibm-plex-mono", "files/ibm-plex-mono-latin-400-normal.woff2"],
  ["@fontsource/ibm-plex-mono", "files/ibm-plex-mono-latin-500-normal.woff2"],
];

// Lucide icons by the name that templates use: `{{ icon("copy") }}`.
const icons = [
  "archive", "arrow-right", "check", "chevron-down", "chevron-right", "circle-dashed", "circle-question-mark",
  "clock-alert", "copy", "corner-down-right", "download", "eye-off", "file", "file-code", "file-text", "files",
  "folder-open", "hourglass", "image", "info", "key-round", "lock", "log-out", "monitor", "moon", "octagon-x",
  "package-open", "plus", "radar", "rotate-cw", "scan-search", "search", "send", "settings", "shield-check", "sun",
  "terminal", "trash-2", "triangle-alert", "unplug", "upload", "webhook", "x",
];

// Alpine's npm package names its licence but does not carry the text.
const alpineLicence = `Copyright (c) 2019-present Caleb Porzio and contributors

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

const licences = [
  ["htmx.org", "Zero-Clause BSD", "LICENSE"],
  ["htmx-ext-ws", "Zero-Clause BSD", "LICENSE"],
  ["@alpinejs/csp", "MIT", null],
  ["swagger-ui-dist", "Apache-2.0", "LICENSE"],
  ["swagger-ui-dist", "The works bundled in swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt"],
  ["tailwindcss", "MIT (the generated style sheet contains its reset)", "LICENSE"],
  ["lucide-static", "ISC (icon sprite)", "LICENSE"],
  ["@fontsource-variable/ibm-plex-sans", "SIL Open Font License 1.1", "LICENSE"],
  ["@fontsource/ibm-plex-mono", "SIL Open Font License 1.1", "LICENSE"],
];

function version(name) {
  return JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8")).version;
}

function copyAll() {
  for (const folder of [vendor, fonts]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }
  for (const [name, from, to] of scripts) copyFileSync(join(modules, name, from), join(vendor, to));
  for (const [name, from] of fontFiles) copyFileSync(join(modules, name, from), join(fonts, from.split("/").at(-1)));
}

function writeLicences() {
  const parts = licences.map(([name, kind, file]) => {
    const text = file === null ? alpineLicence : readFileSync(join(modules, name, file), "utf8").trim();
    return `${name} ${version(name)}\n${kind}\n\n${text}\n`;
  });
  writeFileSync(join(vendor, "LICENSES.txt"), `Third-party works under static/, copied from npm.\n\n${parts.join(`\n${"-".repeat(72)}\n\n`)}`);
}

function writeSprite() {
  const symbols = icons.map((name) => {
    const svg = readFileSync(join(modules, "lucide-static", "icons", `${name}.svg`), "utf8");
    const body = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>")).replace(/\s*\n\s*/g, "").replace(/ \/>/g, "/>");
    return `<symbol id="i-${name}" viewBox="0 0 24 24">${body}</symbol>`;
  });
  const comment = "{# Built by frontend/build.mjs from lucide-static (ISC); do not edit. #}";
  const sprite = `<svg class="hidden" aria-hidden="true" xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>`;
  mkdirSync(join(gateway, "templates", "partials"), { recursive: true });
  writeFileSync(join(gateway, "templates", "partials", "icon_sprite.html"), `${comment}\n${sprite}\n`);
}

function buildStyles() {
  const cli = join(modules, "@tailwindcss", "cli", "dist", "index.mjs");
  const output = join(gateway, "static", "css", "app.css");
  execFileSync(process.execPath, [cli, "--input", "app.css", "--output", output, "--minify"], { cwd: here, stdio: "inherit" });
}

copyAll();
writeLicences();
writeSprite();
buildStyles();

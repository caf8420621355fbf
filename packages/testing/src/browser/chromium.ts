import { existsSync } from "node:fs";
import { chromium, type Browser } from "playwright-core";
import { bringProgram, findProgram } from "../system-package.ts";

const programs = [
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
  "chrome",
];

/** Where the installers of macOS and Windows put it, which is not on PATH. */
const usualPlaces = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

/** Of a hook that starts one: an installation takes as long as the network gives, and waits for others. */
export const chromiumDeadlineMs = 300_000;

/**
 * Starts a Chromium without a window. Close it after the tests. Where there is none and this process
 * is root on Debian, the package is installed first.
 * @throws Error that says what to install.
 */
export async function startChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: bringChromium(),
    // Chromium's sandbox refuses to run as root; the pages are our own.
    chromiumSandbox: process.getuid?.() !== 0,
  });
}

function findChromium(): string | undefined {
  return findProgram(...programs) ?? usualPlaces.find((place) => existsSync(place));
}

/**
 * Path of a Chromium; where there is none and this process is root on Debian, the package is installed first.
 * @throws Error that says what to install.
 */
export function bringChromium(): string {
  const found = bringProgram("chromium", findChromium);
  if (found !== undefined) return found;
  throw new Error(
    `Chromium is needed and none of ${programs.join(", ")} is on PATH. Install it: ` +
      "apt-get install chromium, brew install --cask chromium, or your system's package.",
  );
}

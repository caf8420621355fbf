export { bundleForBrowser } from "./bundle.ts";
export { chromiumDeadlineMs, startChromium } from "./chromium.ts";

export { bundleForBrowser } from "./bundle.ts";
export { startChromium } from "./chromium.ts";

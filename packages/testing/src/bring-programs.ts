import { bringChromium } from "./browser/chromium.ts";
import { bringPython } from "./python.ts";
import { bringRedis } from "./redis.ts";

// Has what the tests of the whole tree need on the machine before the first of them begins: an installation of
// Chromium takes longer than a slow test may. What cannot be had is said by the test that needs it.
for (const bring of [bringRedis, bringPython, bringChromium]) {
  try {
    bring();
  } catch (error) {
    console.error(String(error));
  }
}

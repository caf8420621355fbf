import { registerHooks } from "node:module";

// Loaded with --import ahead of a suite that wants undici: it gets the one that is installed here.

registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== "undici") return next(specifier, context);
    return next(specifier, { ...context, parentURL: import.meta.url });
  },
});

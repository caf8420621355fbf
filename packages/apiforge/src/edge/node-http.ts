const http = process.getBuiltinModule("node:http");

/**
 * What the edge uses of `node:http` at run time. Not by `import`, for which Node reads every export
 * of the module, and reading `WebSocket` loads the whole of its fetch: 16 MB more
 * in a process that did nothing else.
 */
export const {
  IncomingMessage,
  maxHeaderSize,
  STATUS_CODES,
  ServerResponse,
  validateHeaderName,
  validateHeaderValue,
} = http;

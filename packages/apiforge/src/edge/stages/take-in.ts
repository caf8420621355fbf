import { createHash, type Hash } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { configure } from "safe-stable-stringify";

import {
  maxItemChars,
  type Batches,
  type BatchStager,
  type StagedBatch,
} from "../../durable/index.ts";
import { publicTenant } from "../auth/principal.ts";
import { ArraySplitter } from "../body/array-splitter.ts";
import type { BatchBody } from "../body/batch-body.ts";
import { LineSplitter, type ItemSplitter } from "../body/item-splitter.ts";
import { parseJsonBody } from "../body/json-body.ts";
import { edgeError } from "../errors.ts";
import { checkPart } from "./validate.ts";

/** What became of a streamed body. */
export interface TakenIn {
  /** Undefined when it was read for its fingerprint only. */
  readonly staged: StagedBatch | undefined;
  readonly fingerprint: Uint8Array;
}

/** How a streamed body is to be read. */
export interface TakeInOptions {
  /** Fingerprint of the rest of the request; undefined when nothing will be compared. */
  readonly fingerprint: Uint8Array | undefined;
  /** False when the items are stored already: only the fingerprint is wanted. */
  readonly stages: boolean;
}

/** Reads the body of one request. */
export type TakeIn = (request: FastifyRequest, options: TakeInOptions) => Promise<TakenIn>;

const fingerprintBytes = 16;
/** Characters that are hashed together. */
const hashChars = 65_536;
const canonicalJson = configure({ deterministic: true, circularValue: Error });

/**
 * The stage that takes in a body of items while it arrives: each is parsed as strictly as any
 * body, checked, hashed and stored; reading waits when storing cannot keep up.
 */
export function takeIn(body: BatchBody, batches: Batches): TakeIn {
  const check = checkPart("body", body.definition.item, "json", "refuse");

  return async function takeInItems(request, { fingerprint, stages }) {
    const tenant = request.exchange.principal?.tenant ?? publicTenant;
    const actor = { tenant, requestId: request.id };
    const stager = stages ? batches.stager(body.definition, actor, body.field) : undefined;
    const digest = fingerprint === undefined ? undefined : new ItemDigest(fingerprint);
    try {
      await readItems(request, body, check, stager, digest);
      return {
        staged: await stager?.end(),
        fingerprint: digest?.end() ?? new Uint8Array(fingerprintBytes),
      };
    } catch (error) {
      await stager?.discard();
      throw error;
    }
  };
}

async function readItems(
  request: FastifyRequest,
  body: BatchBody,
  check: (value: unknown, path: string) => unknown,
  stager: BatchStager | undefined,
  digest: ItemDigest | undefined,
): Promise<void> {
  let index = 0;
  const path = (): string => `body.${body.field}.${index}`;
  const pieces = bodyOf(request);
  const splitter = splitterFor(request, body, () => tooLong(path()));
  const take = (bytes: Buffer): Promise<void> | undefined => {
    const item = parseJsonBody(bytes, path());
    check(item, path());
    index += 1;
    digest?.add(item);
    return stager?.add(bytes.toString("utf8"));
  };
  let size = 0;
  for await (const piece of pieces) {
    size += piece.length;
    if (size > body.maxBodyBytes) throw tooLarge(body);
    for (const bytes of splitter.push(piece)) {
      const wait = take(bytes);
      if (wait !== undefined) await wait;
    }
  }
  for (const bytes of splitter.end()) await take(bytes);
}

function bodyOf(request: FastifyRequest): AsyncIterable<Buffer> {
  if (request.body === undefined) throw noBody();
  // The route's parser hands the stream on as it is.
  return request.body as AsyncIterable<Buffer>;
}

function splitterFor(
  request: FastifyRequest,
  { field }: BatchBody,
  refuseLong: () => Error,
): ItemSplitter {
  const [type = ""] = (request.headers["content-type"] ?? "").split(";");
  switch (type.trim().toLowerCase()) {
    case "application/json":
      return new ArraySplitter(field, refuseLong);
    case "application/x-ndjson":
    case "application/jsonl":
      return new LineSplitter(refuseLong);
    default:
      throw edgeError(
        "unsupported_media_type",
        "Send application/json or application/x-ndjson in the Content-Type header",
      );
  }
}

/** Equal items in equal order give an equal digest, however they were written. */
class ItemDigest {
  readonly #hash: Hash;
  #text = "";

  constructor(start: Uint8Array) {
    this.#hash = createHash("sha256").update(start);
  }

  add(item: unknown): void {
    // Canonical JSON has no line feed, so no two lists of items have the same text.
    this.#text += `${canonicalJson(item) ?? "null"}\n`;
    if (this.#text.length < hashChars) return;
    this.#hash.update(this.#text);
    this.#text = "";
  }

  end(): Uint8Array {
    return this.#hash.update(this.#text).digest().subarray(0, fingerprintBytes);
  }
}

function noBody(): Error {
  return edgeError("validation_failed", "body is required", { param: "body" });
}

function tooLarge({ maxBodyBytes }: BatchBody): Error {
  return edgeError("body_too_large", `The body is larger than ${maxBodyBytes} bytes`);
}

function tooLong(path: string): Error {
  return edgeError("body_too_large", `${path} is longer than ${maxItemChars} characters`, {
    param: path,
  });
}

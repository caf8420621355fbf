import type { Route } from "../route.ts";

const pinoInfo = 30;
const pinoWarn = 40;
const leastTrouble = 500;

/** What {@link LineTexts} are made of. */
export interface LineParts {
  readonly route: Route | undefined;
  /** Of every line, with a comma in front of each. */
  readonly fields: string;
  /** Of the answers like these, those that are written; 1 is not said. */
  readonly share: number;
  readonly revision: string | undefined;
}

/** What the access lines of one route and one class of answers have in common. */
export class LineTexts {
  /** From behind the caller to the line feed. */
  readonly end: string;
  readonly #fields: string;
  readonly #route: string;
  #time = "";
  #method = "";
  #isTrouble = false;
  #begin = "";
  #status = 0;
  #bytes = 0;
  #size = "";

  constructor({ route, fields, share, revision }: LineParts) {
    this.#fields = fields;
    this.#route = route === undefined ? "" : `,"route":${JSON.stringify(route.path)}`;
    const shareText = share === 1 ? "" : `,"share":${share}`;
    const revisionText = revision === undefined ? "" : `,"revision":"${revision}"`;
    this.end = inOnePiece(`${shareText}${revisionText},"msg":"answered"}\n`);
  }

  /** From the brace to the path: the same for the answers of one millisecond. */
  beginText(status: number, time: string, method: string): string {
    const isTrouble = status >= leastTrouble;
    if (time === this.#time && method === this.#method && isTrouble === this.#isTrouble) {
      return this.#begin;
    }
    this.#time = time;
    this.#method = method;
    this.#isTrouble = isTrouble;
    const level = isTrouble ? pinoWarn : pinoInfo;
    const head = `{"level":${level},"time":"${time}"${this.#fields},"method":"${method}"`;
    this.#begin = inOnePiece(`${head}${this.#route},"path":`);
    return this.#begin;
  }

  /** From behind the path to the duration. */
  sizeText(status: number, bytes: number): string {
    if (status === this.#status && bytes === this.#bytes) return this.#size;
    this.#status = status;
    this.#bytes = bytes;
    this.#size = `,"status":${status},"bytes":${bytes},"durationMs":`;
    return this.#size;
  }
}

const thousandths = Array.from({ length: 1_000 }, (_, count) => String(count / 1_000).slice(1));

/** Milliseconds to three digits behind the point: 35 ns, where a number that is not whole takes 160 to become a text. */
export function millisecondsText(ms: number): string {
  const us = Math.round(ms * 1_000);
  const whole = Math.floor(us / 1_000);
  return `${whole}${thousandths[us - whole * 1_000]}`;
}

/** `text`, not as the rope that it was put together as: a rope is walked each time that it is copied. */
export function inOnePiece(text: string): string {
  return Buffer.from(text).toString();
}

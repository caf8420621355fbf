/** The body of a reply that is a text as it is, such as a page of HTML. */
export class TextReply {
  readonly contentType: string;

  constructor(contentType: string) {
    this.contentType = contentType;
  }
}

/** A reply whose body is the handler's string, sent as `contentType`: `text/html; charset=utf-8`. */
export function textReply(contentType: string): TextReply {
  return new TextReply(contentType);
}

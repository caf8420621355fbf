import { describe, expect, test } from "vitest";
import { ApiForgeError, errorFactory } from "../../src/kernel/index.ts";

const createError = errorFactory({
  thing_gone: { type: "not_found_error", status: 404, retryable: false },
  store_busy: { type: "api_error", status: 503, retryable: true },
});

describe("an error", () => {
  test("carries what its table says of the code", () => {
    const cause = new Error("inner");
    const error = createError("store_busy", "Try again", { retryAfterSeconds: 3, cause });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: "ApiForgeError",
      message: "Try again",
      code: "store_busy",
      type: "api_error",
      status: 503,
      retryable: true,
      retryAfterSeconds: 3,
      param: undefined,
      cause,
    });
  });

  test("has a cause only when it was given one", () => {
    expect("cause" in createError("thing_gone", "Gone")).toBe(false);
    expect(createError("thing_gone", "Gone", { param: "id" }).param).toBe("id");
  });

  test("of a code that is not in the table cannot be made", () => {
    // @ts-expect-error -- the code is not in the table
    expect(() => createError("other", "x")).toThrow(TypeError);
  });

  test("is known by its brand, also from another copy of the package", () => {
    class OtherCopy extends Error {}
    const foreign = Object.defineProperty(new OtherCopy(), Symbol.for("apiforge.error"), {
      value: true,
    });
    expect(ApiForgeError.is(createError("thing_gone", "Gone"))).toBe(true);
    expect(ApiForgeError.is(foreign)).toBe(true);
    for (const value of [new Error("x"), null, undefined, "thing_gone", {}, 404]) {
      expect(ApiForgeError.is(value)).toBe(false);
    }
  });

  test("takes the name of its class", () => {
    class Refused extends ApiForgeError {}
    const definition = { type: "conflict_error", status: 409, retryable: false } as const;
    expect(new Refused("refused", definition, "no").name).toBe("Refused");
  });
});

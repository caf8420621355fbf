import assert from "node:assert/strict";
import { z } from "zod";

import type { Check } from "./check.ts";
import { describeAnswer, filled, requestData, send, type Answer, type Fields } from "./exchange.ts";

/** Where a gateway manages API keys, and where it takes them. `{id}` in a path or body is that of a key. */
export const keyTarget = z.strictObject({
  /** Makes a key, with the fields of whoever may. */
  create: requestData,
  /** Gives the key `{id}` another text and leaves the present one good for a while. */
  rotate: requestData,
  /** The same, but ends the present one at once. */
  rotateAtOnce: requestData,
  /** Ends the key `{id}`. */
  revoke: requestData,
  /** Shows the key `{id}` to whoever manages it. */
  show: requestData,
  /** A read that takes any key. */
  use: requestData,
  /** How a key is sent: a field, and its value with `{key}` in it. */
  field: z.string().default("Authorization"),
  value: z.string().includes("{key}").default("Bearer {key}"),
  /** Names of the fields of an answer that hold the id of a key, and its text. */
  idField: z.string().default("id"),
  keyField: z.string().default("key"),
});
export type KeyTarget = z.infer<typeof keyTarget>;

interface Key {
  readonly id: string;
  readonly text: string;
}

/** What a gateway promises about API keys: told once, changed without a refused request, ended at once. */
export function keyChecks(url: string, target: KeyTarget): readonly Check[] {
  const { create, rotate, rotateAtOnce, revoke, show, use } = target;

  function useKey(text: string): Promise<Answer> {
    const sent: Fields = { [target.field]: target.value.replace("{key}", () => text) };
    return send(url, { ...use, headers: { ...use.headers, ...sent } });
  }

  async function assertTaken(text: string, which: string): Promise<void> {
    const answer = await useKey(text);
    assert.ok(isSuccess(answer), `${which} must be taken: ${describeAnswer(answer)}`);
  }

  async function assertRefused(text: string, which: string): Promise<void> {
    const answer = await useKey(text);
    assert.equal(answer.status, 401, `${which} must be 401: ${describeAnswer(answer)}`);
    assert.ok(answer.headers["www-authenticate"], "WWW-Authenticate of a 401");
  }

  function keyOf(answer: Answer): Key {
    assert.ok(isSuccess(answer), `a key must be told: ${describeAnswer(answer)}`);
    const told = JSON.parse(answer.body) as Readonly<Record<string, unknown>>;
    const [id, text] = [told[target.idField], told[target.keyField]];
    assert.ok(typeof id === "string" && typeof text === "string", "id and text of a key");
    return { id, text };
  }

  const manage = (request: KeyTarget["create"], { id }: Pick<Key, "id">): Promise<Answer> =>
    send(url, filled(request, { id }));
  const newKey = async (): Promise<Key> => keyOf(await send(url, create));

  return [
    {
      name: "a new key is taken",
      run: async () => assertTaken((await newKey()).text, "the new key"),
    },
    {
      name: "what is no key is refused",
      async run() {
        const { text } = await newKey();
        const last = text.endsWith("A") ? "B" : "A";
        for (const wrong of [`${text.slice(0, -1)}${last}`, text.slice(0, -4), `${text}x`, "key"]) {
          await assertRefused(wrong, "what is no key");
        }
      },
    },
    {
      name: "a key is told once",
      async run() {
        const key = await newKey();
        const shown = await manage(show, key);
        assert.ok(isSuccess(shown), `it must be shown: ${describeAnswer(shown)}`);
        assert.ok(!shown.body.includes(key.text), "the text must not be shown again");
      },
    },
    {
      name: "after a rotation the new text and the old one are taken, for one key",
      async run() {
        const before = await newKey();
        const after = keyOf(await manage(rotate, before));
        assert.equal(after.id, before.id, "id of the key");
        assert.notEqual(after.text, before.text, "text of the key");
        await assertTaken(after.text, "the new text");
        await assertTaken(before.text, "the old text");
      },
    },
    {
      name: "no request is refused while a key is rotated",
      async run() {
        const before = await newKey();
        const rotated = new AbortController();
        const answers: Answer[] = [];
        async function keepUsing(): Promise<void> {
          while (!rotated.signal.aborted) answers.push(await useKey(before.text));
        }
        const using = [keepUsing(), keepUsing(), keepUsing()];
        const rotating = manage(rotate, before);
        // Also where it fails: nobody else ends them.
        await rotating.finally(() => rotated.abort());
        await Promise.all(using);
        const after = keyOf(await rotating);
        answers.push(await useKey(before.text), await useKey(after.text));
        const refused = answers.filter((answer) => !isSuccess(answer));
        assert.deepEqual(refused.map(describeAnswer), [], "requests refused");
      },
    },
    {
      name: "a rotation without an overlap ends the old text at once",
      async run() {
        const before = await newKey();
        await assertTaken(before.text, "the old text before");
        const after = keyOf(await manage(rotateAtOnce, before));
        await assertRefused(before.text, "the old text");
        await assertTaken(after.text, "the new text");
      },
    },
    {
      name: "a revoked key is refused from its next request on, with all its texts",
      async run() {
        const before = await newKey();
        const after = keyOf(await manage(rotate, before));
        await assertTaken(before.text, "the old text before");
        await assertTaken(after.text, "the new text before");
        const revoked = await manage(revoke, before);
        assert.ok(isSuccess(revoked), `it must be revoked: ${describeAnswer(revoked)}`);
        await assertRefused(before.text, "the old text");
        await assertRefused(after.text, "the new text");
      },
    },
  ];
}

function isSuccess({ status }: Answer): boolean {
  return status >= 200 && status < 300;
}

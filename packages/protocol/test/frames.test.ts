import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DeviceId,
  decodeRequest,
  decodeServerFrame,
  encodeCbor,
  encodeError,
  encodeEvent,
  encodeRequest,
  encodeResponse,
  errorCodes,
  Incarnation,
  limits,
  MessageId,
  operations,
  type Request,
  randomId,
  ServerId,
  SnugError,
  StreamId,
  signInBytes,
  toBase64url,
} from "@snug/protocol";
import fc from "fast-check";

const submit: Request = {
  number: 7,
  name: "submit",
  body: {
    stream: randomId(StreamId),
    kind: "letter",
    class: "durable",
    id: randomId(MessageId),
    counter: 1,
    sealed: new Uint8Array([1, 2, 3]),
    expires: null,
  },
};
const malformed = (message: RegExp) => ({ name: "SnugError", code: "malformed", message });

/** What a request that can be answered is refused with. */
function refusal(frame: unknown): SnugError {
  const request = decodeRequest(encodeCbor(frame));
  assert("error" in request);
  return request.error;
}

test("E6: a request comes back as it was sent", () => {
  assert.deepEqual(decodeRequest(encodeRequest(submit)), submit);
});

test("E6: a request cut at any byte, or with a byte more, is refused", () => {
  const bytes = encodeRequest(submit);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodeRequest(bytes.subarray(0, length)), malformed(/CBOR/));
  }
  assert.throws(() => decodeRequest(new Uint8Array([...bytes, 0])), malformed(/CBOR/));
});

test("E6: a frame that is no request can't be answered and is refused", () => {
  const whole = { type: "request", number: 1, name: "sign-out", body: {} };
  for (const frame of [
    null,
    [],
    {},
    { ...whole, more: 1 },
    { ...whole, type: "event" },
    { ...whole, number: -1 },
  ]) {
    assert.throws(() => decodeRequest(encodeCbor(frame)), malformed(/not a request frame/));
  }
  const { name: _, ...nameless } = whole;
  assert.throws(() => decodeRequest(encodeCbor(nameless)), malformed(/not a request frame/));
  assert.throws(
    () => decodeRequest(encodeCbor({ ...whole, number: 2 ** 32 })),
    malformed(/not a request frame/),
  );
});

test("E6: an unknown operation, or one that is not the socket's, is answered with an error", () => {
  for (const name of ["nothing", "join", "library-read", "toString", "__proto__", "constructor", ""]) {
    const error = refusal({ type: "request", number: 1, name, body: {} });
    assert.equal(error.code, "malformed");
    assert.match(error.message, /there is no operation of this name/);
  }
});

test("E6: a body that is not of its operation's form is answered with where it is wrong", () => {
  const body = { ...submit.body, counter: 0 };
  const error = refusal({ type: "request", number: 1, name: "submit", body });
  assert.match(error.message, /submit: the request is not of its form, at "counter"/);
  const extra = refusal({ type: "request", number: 1, name: "submit", body: { ...submit.body, more: 1 } });
  assert.equal(extra.code, "malformed");
  const long = new Uint8Array(limits.sealed + 1);
  assert.match(
    refusal({ type: "request", number: 1, name: "submit", body: { ...submit.body, sealed: long } }).message,
    /sealed/,
  );
});

test("E6: responses, errors and events come back as they were sent", () => {
  assert.deepEqual(decodeServerFrame(encodeResponse(3, { index: 4 })), {
    type: "response",
    number: 3,
    body: { index: 4 },
  });
  for (const code of errorCodes) {
    const frame = decodeServerFrame(encodeError(5, new SnugError(code, "why")));
    assert(frame.type === "error" && frame.number === 5);
    assert.deepEqual([frame.error.code, frame.error.message], [code, "why"]);
  }
  const presence = { runs: [{ from: 3, bits: Uint8Array.of(1, 0, 255) }] };
  assert.deepEqual(decodeServerFrame(encodeEvent("presence", presence)), {
    type: "event",
    event: { name: "presence", body: presence },
  });
});

test("E6: an error's message is bounded", () => {
  const frame = decodeServerFrame(encodeError(1, new SnugError("internal", "x".repeat(5_000))));
  assert(frame.type === "error");
  assert.equal(frame.error.message.length, 1_000);
});

test("E6: an event that this version doesn't know is named, not refused; a known one of another form is refused", () => {
  const unknown = encodeCbor({ type: "event", name: "tomorrow", body: { any: 1 } });
  assert.deepEqual(decodeServerFrame(unknown), { type: "unknown-event", name: "tomorrow" });
  const inherited = encodeCbor({ type: "event", name: "toString", body: null });
  assert.equal(decodeServerFrame(inherited).type, "unknown-event");
  const bent = encodeCbor({ type: "event", name: "presence", body: { online: true } });
  assert.throws(() => decodeServerFrame(bent), malformed(/event presence is not of its form/));
  const frames = [{ type: "nothing" }, { type: "error", number: 1, code: "made-up", message: "" }];
  for (const frame of frames) {
    assert.throws(() => decodeServerFrame(encodeCbor(frame)), malformed(/not a server frame/));
  }
});

test("E6: any bytes are a frame or refused, for either side", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const decode of [decodeRequest, decodeServerFrame]) {
        try {
          decode(bytes);
        } catch (error) {
          assert(error instanceof SnugError, String(error));
        }
      }
    }),
    { seed: 20_261_122, numRuns: 2_000 },
  );
});

test("E6: any body under any operation's name is parsed or answered", () => {
  const name = fc.constantFrom(...Object.keys(operations));
  const body = fc.oneof(
    fc.object({ maxDepth: 2, values: [fc.integer(), fc.string(), fc.constant(null), fc.uint8Array()] }),
    fc.record({
      stream: fc.constant(submit.body.stream),
      from: fc.integer(),
      after: fc.integer(),
      seq: fc.integer(),
    }),
    fc.record({ title: fc.string() }),
  );
  fc.assert(
    fc.property(name, body, (name, body) => {
      const request = decodeRequest(encodeCbor({ type: "request", number: 9, name, body }));
      assert.equal(request.number, 9);
    }),
    { seed: 20_261_122, numRuns: 1_000 },
  );
});

test("I22: what a device signs to sign in depends on server, incarnation, nonce and device", () => {
  const of = {
    server: ServerId.parse(toBase64url(new Uint8Array(32))),
    incarnation: randomId(Incarnation),
    nonce: new Uint8Array(32),
    device: randomId(DeviceId),
  };
  const others = [
    { ...of, server: ServerId.parse(toBase64url(new Uint8Array(32).fill(1))) },
    { ...of, incarnation: randomId(Incarnation) },
    { ...of, nonce: new Uint8Array(32).fill(1) },
    { ...of, device: randomId(DeviceId) },
  ];
  const distinct = new Set([of, ...others].map((input) => signInBytes(input).toHex()));
  assert.equal(distinct.size, 5);
});

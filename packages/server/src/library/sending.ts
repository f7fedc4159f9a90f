import { type Answer, chunksAhead } from "./messages.ts";

/** Sends bodies to the other thread, each only as fast as it is taken (VL10). */
export interface Sending {
  /** Begins to send a body under a number; `chunksAhead` chunks at first. */
  start(number: number, body: AsyncIterable<Uint8Array>): void;
  /** One chunk more may go. */
  more(number: number): void;
  /** Nobody wants the rest. */
  cancel(number: number): void;
}

interface Stream {
  allowed: number;
  cancelled: boolean;
  wake: () => void;
}

/** `post` hands a message and the buffers that move with it to the other thread. */
export function createSending(post: (answer: Answer, moved: ArrayBuffer[]) => void): Sending {
  const streams = new Map<number, Stream>();
  const wake = (number: number, change: (stream: Stream) => void): void => {
    const stream = streams.get(number);
    if (stream === undefined) return;
    change(stream);
    stream.wake();
  };
  return {
    start: (number, body) => {
      const stream: Stream = { allowed: chunksAhead, cancelled: false, wake: () => undefined };
      streams.set(number, stream);
      send(number, body, { stream, post })
        .then(
          () => post({ type: "end", number }, []),
          (error: unknown) => post({ type: "failed", number, message: String(error) }, []),
        )
        .finally(() => streams.delete(number));
    },
    more: (number) => wake(number, (stream) => stream.allowed++),
    cancel: (number) =>
      wake(number, (stream) => {
        stream.cancelled = true;
      }),
  };
}

async function send(
  number: number,
  body: AsyncIterable<Uint8Array>,
  to: { stream: Stream; post: (answer: Answer, moved: ArrayBuffer[]) => void },
): Promise<void> {
  const { stream, post } = to;
  // `for await` closes the body on return: a cancelled one gives back its file.
  for await (const part of body) {
    while (stream.allowed === 0 && !stream.cancelled) {
      await new Promise<void>((resolve) => {
        stream.wake = resolve;
      });
    }
    if (stream.cancelled) return;
    stream.allowed--;
    const bytes = movable(part);
    post({ type: "chunk", number, bytes }, [bytes.buffer]);
  }
}

/** The bytes with a buffer all of their own: what moves to another thread is gone here. */
function movable(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  return whole ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

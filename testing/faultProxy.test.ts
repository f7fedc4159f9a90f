import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { it } from "node:test";
import { FaultProxy } from "./faultProxy.ts";

it("a late line brings everything, in order, and not before its time", async () => {
  const echo = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
  await once(echo, "listening");
  await using proxy = await FaultProxy.to((echo.address() as AddressInfo).port);
  const socket = connect(proxy.port, "127.0.0.1");
  await once(socket, "connect");
  const roundTrip = async (text: string): Promise<number> => {
    const start = performance.now();
    socket.write(text);
    let come = "";
    while (come.length < text.length) come += String((await once(socket, "data"))[0]);
    assert.equal(come, text);
    return performance.now() - start;
  };
  await roundTrip("at once");
  proxy.delay = 150;
  proxy.split = 3;
  // There and back, in pieces, each late by as much.
  assert.ok((await roundTrip("late and broken, but whole")) > 2 * 150);
  proxy.delay = 0;
  await roundTrip("at once again");
  socket.destroy();
  echo.close();
});

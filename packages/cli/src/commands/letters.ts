import type { Command } from "commander";
import { placeOf } from "../place.ts";

export function addLetterCommands(program: Command): void {
  const add = (name: string, description: string): Command =>
    program.command(name).description(description).helpGroup("Letters:");
  add("send", "send a letter and wait until the server has it")
    .argument("<name>")
    .argument("<text>", "- reads it from stdin")
    .action(async (name: string, text: string, _, command: Command) => {
      const { send } = await import("../letters.ts");
      await send({ ...placeOf(command), name, text });
    });
  add("read", "print unread letters and mark them read")
    .argument("[name]", "only those of one person")
    .action(async (name: string | undefined, _, command: Command) => {
      const { read } = await import("../letters.ts");
      await read({ ...placeOf(command), name });
    });
  add("tail", "print unread letters, then each one as it comes").action(async (_, command: Command) => {
    const { tail } = await import("../letters.ts");
    await tail(placeOf(command));
  });
}

export function addVideoCommands(program: Command): void {
  const add = (name: string, description: string): Command =>
    program.command(name).description(description).helpGroup("Videos:");
  add("videos", "list the videos").action(async (_, command: Command) => {
    const { videos } = await import("../videos.ts");
    await videos(placeOf(command));
  });
  add("play", "play a video with mpv")
    .argument("<title>")
    .option("--print-url", "print a URL that any HLS player opens, valid for 10 minutes until first used")
    .action(async (title: string, options: { printUrl?: true }, command: Command) => {
      const { play } = await import("../videos.ts");
      await play({ ...placeOf(command), title, printUrl: options.printUrl === true });
    });
}

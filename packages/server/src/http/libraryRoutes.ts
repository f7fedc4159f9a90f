import { operations, SnugError, TitleId } from "@snug/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type Library, mediaRoutes } from "../library/index.ts";
import type { Room } from "../room.ts";
import { holderOf } from "./accountRoutes.ts";

/** The library's list, a title's details, and the media themselves. Who is not signed in learns nothing of what there is. */
export function libraryRoutes(app: FastifyInstance, room: Room, library: Library): void {
  const admit = async (name: "library-read" | "title-read", request: FastifyRequest): Promise<void> => {
    const holder = await holderOf(room, request);
    if (!holder) throw new SnugError("unauthenticated", "sign in first");
    room.rates.check(name, holder.device);
  };
  app.get(operations["library-read"].transport.path, async (request, reply) => {
    await admit("library-read", request);
    return reply.header("cache-control", "no-store").send(library.view());
  });
  app.get<{ Params: { title: string } }>(operations["title-read"].transport.path, async (request, reply) => {
    await admit("title-read", request);
    const title = TitleId.safeParse(request.params.title);
    if (!title.success) throw new SnugError("not-found", "there is no such title");
    return reply.header("cache-control", "no-store").send(await library.detail(title.data));
  });
  mediaRoutes(app, {
    library,
    authorize: async (request, grant, title) => {
      const holder =
        grant === "me"
          ? await holderOf(room, request)
          : await room.passes.opens(grant, title, library.duration(title) ?? 0);
      return holder?.account;
    },
  });
}

export { type Library, type LibraryOptions, openLibrary } from "./library.ts";
export type { FoundBody } from "./link.ts";
export { type MediaRouteOptions, mediaRoutes } from "./routes.ts";

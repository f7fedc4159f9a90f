import type { Connection, Person } from "@snug/client";

/** How well we know a person, in one or two words. */
export function trustWord(person: Person): string {
  if (person.removed) return person.removedBy === null ? "left" : "removed";
  if (person.blocked) return "blocked";
  switch (person.trust.how) {
    case "verified":
      return person.trust.by === "self" ? "you" : "verified";
    case "key-changed":
      return "key changed";
    case "unproven":
      return "not proven";
    case "unverified":
      return "unverified";
  }
}

/** Why somebody's keys are to be looked at before anything is sent. */
export function doubtWords(person: Person): string {
  return person.trust.how === "unproven" ? "are not proven by your invite" : "changed";
}

export function presenceWord(person: Person): string {
  return person.online ? "online" : "offline";
}

/** The connection's state in words. */
export function connectionWords(connection: Connection): string {
  switch (connection.is) {
    case "connecting":
      return "connecting…";
    case "online":
      return "online";
    case "offline":
      return `offline (${connection.why}), trying again`;
    case "stopped":
      return `stopped: ${connection.why}`;
  }
}

/** Microseconds → "1:02:03" or "2:03". */
export function lengthWords(microseconds: number): string {
  const seconds = Math.round(microseconds / 1_000_000);
  const two = (value: number): string => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

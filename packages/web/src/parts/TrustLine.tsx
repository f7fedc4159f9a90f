import { awaitsLook, type Person } from "@snug/client";
import { ShieldAlert, ShieldCheck, ShieldQuestion } from "lucide-react";
import type { ReactElement } from "react";
import styles from "./trust.module.css";

/** How well this person is known, in words. */
function trustInWords(person: Person): string {
  if (person.removed) return person.removedBy === null ? "Left this server" : "Removed from this server";
  if (person.blocked) return "Blocked by you";
  switch (person.trust.how) {
    case "verified":
      if (person.trust.by === "self") return "This is you";
      return person.trust.by === "invite" ? "Verified by the invite" : "Verified by safety number";
    case "key-changed":
      return "Keys changed";
    case "unproven":
      return "Not proven by your invite";
    default:
      return "Not verified yet";
  }
}

export function TrustLine({ person }: { readonly person: Person }): ReactElement {
  const { how } = person.trust;
  const plain = person.removed || person.blocked || (how === "verified" && person.trust.by === "self");
  const look = plain ? "unverified" : awaitsLook(person) ? "warn" : how;
  const Icon = look === "verified" ? ShieldCheck : look === "warn" ? ShieldAlert : ShieldQuestion;
  return (
    <span className={styles.trust} data-how={look}>
      {look === "unverified" && how === "verified" ? null : <Icon size={14} aria-hidden="true" />}
      {trustInWords(person)}
    </span>
  );
}

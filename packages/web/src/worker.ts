import { openBrowserClient } from "@snug/client/browser";
import { hostClient, type Scope } from "./engine/host.ts";

// lib.dom calls this global a window.
const scope = self as unknown as Scope;
void hostClient(scope, () => openBrowserClient({ origin: self.location.origin }));

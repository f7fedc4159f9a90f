// First: it fixes the order of the layers before any part fills one.
import "./style/index.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.tsx";
import { startSession } from "./engine/session.ts";
import { takeInviteLink } from "./navigation.tsx";
import { Boundary } from "./parts/Boundary.tsx";
import { Broken } from "./screens/Doorstep.tsx";

const link = takeInviteLink();
void startSession();

const root = document.getElementById("root");
if (!root) throw new Error("the page has no root");
createRoot(root).render(
  <StrictMode>
    <Boundary fallback={(why) => <Broken why={why} />}>
      <App link={link} />
    </Boundary>
  </StrictMode>,
);

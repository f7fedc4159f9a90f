import { Component, type ReactNode } from "react";

interface Props {
  /** What stands there instead, with the fault's own words. */
  readonly fallback: (why: string) => ReactNode;
  readonly children: ReactNode;
}

/** Keeps a fault in one screen from leaving an empty page: React takes everything away that throws while drawing. */
export class Boundary extends Component<Props, { readonly why: string | null }> {
  override readonly state: { readonly why: string | null } = { why: null };

  static getDerivedStateFromError(error: unknown): { readonly why: string } {
    return { why: error instanceof Error ? error.message : "Something could not be drawn." };
  }

  override render(): ReactNode {
    return this.state.why === null ? this.props.children : this.props.fallback(this.state.why);
  }
}

import { Dialog } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import type { ReactElement, ReactNode } from "react";
import styles from "./sheet.module.css";

interface Props {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly title: string;
  readonly children: ReactNode;
}

/** A dialog: in the middle when wide, from below on a phone. */
export function Sheet({ open, onClose, title, children }: Props): ReactElement {
  return (
    <Dialog.Root open={open} onOpenChange={(next) => (next ? undefined : onClose())}>
      <Dialog.Portal>
        {/* Also behind a question that a sheet asks: what lies below is out of reach. */}
        <Dialog.Backdrop className={styles.backdrop} forceRender />
        <Dialog.Viewport className={styles.viewport}>
          <Dialog.Popup className={styles.sheet}>
            <header className={styles.head}>
              <Dialog.Title className={styles.title} dir="auto">
                {title}
              </Dialog.Title>
              <Dialog.Close className={styles.close} aria-label="Close" title="Close">
                <X size={20} aria-hidden="true" />
              </Dialog.Close>
            </header>
            <div className={styles.body}>{children}</div>
          </Dialog.Popup>
        </Dialog.Viewport>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** The row of a sheet's actions, the likeliest last. */
export function SheetActions({ children }: { readonly children: ReactNode }): ReactElement {
  return <div className={styles.actions}>{children}</div>;
}

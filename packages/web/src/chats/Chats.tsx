import type { AccountId } from "@snug/protocol";
import { MessageSquare } from "lucide-react";
import type { ReactElement } from "react";
import { useJoined } from "../client.tsx";
import { Empty } from "../parts/Empty.tsx";
import { ChatList } from "./ChatList.tsx";
import { Conversation } from "./Conversation.tsx";
import styles from "./chats.module.css";

/** List and conversation side by side; one of them on a phone. */
export function Chats({ account }: { readonly account: AccountId | null }): ReactElement {
  const { threads } = useJoined();
  return (
    <main className={styles.chats} data-open={account !== null}>
      <ChatList selected={account} />
      <section className={styles.conversation} aria-label="Conversation">
        {account ? (
          <Conversation key={account} account={account} />
        ) : (
          <Empty
            icon={<MessageSquare size={24} />}
            title={threads.length > 0 ? "Your letters" : "Nothing written yet"}
            text={
              threads.length > 0
                ? "Choose a conversation on the left."
                : "What you write is sealed here and opened there, nowhere in between."
            }
          />
        )}
      </section>
    </main>
  );
}

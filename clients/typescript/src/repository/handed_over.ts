/**
 * Remembers which messages were handed over to the phone of a live session and are not acknowledged.
 *
 * A gateway that restarted, or another one that takes over, delivers such messages once more, perhaps
 * twice: when it sees the client and when the session is opened again. It cannot know that the
 * phone's own socket has outlived the outage. As long as an acknowledgement may still come, the phone
 * is spared the repetition. Afterwards it gets the message again, so that one that it lost is not lost
 * for good. No I/O, no clock.
 */

interface Session {
  readonly sessionId: string;
  /** When a message was handed over, by its id. */
  readonly messages: Map<string, number>;
}

// Just below the gateway's default acknowledgement deadline, after which it delivers again on purpose.
const acknowledgementMs = 14_000;
// The gateway's default for messages in flight to one session.
const mostPerSession = 1000;

export class HandedOver {
  private readonly sessions = new Map<string, Session>();

  /**
   * Whether the phone has had the message for a short time only. If not, the message counts as
   * handed over from `at` on, in milliseconds.
   */
  isRepetition(
    { connectionId, sessionId }: { connectionId: string; sessionId: string },
    messageId: string,
    at: number,
  ): boolean {
    const messages = this.messagesOf(connectionId, sessionId);
    const before = messages.get(messageId);
    if (before !== undefined && at - before < acknowledgementMs) return true;
    messages.delete(messageId);
    messages.set(messageId, at);
    if (messages.size > mostPerSession) {
      const [oldest] = messages.keys();
      if (oldest !== undefined) messages.delete(oldest);
    }
    return false;
  }

  /** The messages were acknowledged, or could not be handed over after all. */
  forget(connectionId: string, messageIds: Iterable<string>): void {
    const messages = this.sessions.get(connectionId)?.messages;
    if (!messages) return;
    for (const id of messageIds) messages.delete(id);
  }

  /** The session is over. */
  end(connectionId: string): void {
    this.sessions.delete(connectionId);
  }

  private messagesOf(connectionId: string, sessionId: string): Map<string, number> {
    const present = this.sessions.get(connectionId);
    if (present?.sessionId === sessionId) return present.messages;
    const messages = new Map<string, number>();
    this.sessions.set(connectionId, { sessionId, messages });
    return messages;
  }
}

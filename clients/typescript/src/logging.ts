/**
 * Where the client writes what it does. The logger of a Credo agent fits as it is.
 *
 * Lines carry ids, counts and causes; never payloads, tokens or passwords.
 */
export interface ClientLogger {
  debug(message: string, data?: Record<string, unknown>): void;
  info(message: string, data?: Record<string, unknown>): void;
  warn(message: string, data?: Record<string, unknown>): void;
  error(message: string, data?: Record<string, unknown>): void;
}

function nothing(): void {
  // A client without a logger is silent.
}

export const silentLogger: ClientLogger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
};

/** What a log line or an error may say of something that was thrown. */
export function causeOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The address without user, password and query, which may hold secrets. */
export function printableUrl(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
  } catch {
    return 'an address that cannot be parsed';
  }
}

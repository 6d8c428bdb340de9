/** The errors with which calls fail. All are RepositoryError; `name` tells them apart in logs. */

/** What every failed call throws. */
export class RepositoryError extends Error {
  override readonly name: string = 'RepositoryError';

  constructor(
    message: string,
    /** The method that failed, if it was a call. */
    readonly method?: string,
  ) {
    super(message);
  }
}

/** No connection, or none in time. The call may have taken effect if it had been sent. */
export class ConnectionError extends RepositoryError {
  override readonly name: string = 'ConnectionError';
}

/** The call was sent, and no answer came in time. It may have taken effect. */
export class CallTimeoutError extends RepositoryError {
  override readonly name = 'CallTimeoutError';
}

/** Too much is waiting for a connection already; the call was not sent. */
export class QueueFullError extends RepositoryError {
  override readonly name = 'QueueFullError';
}

/** The client is not connected and does not try to be: before connect(), after disconnect(). */
export class NotConnectedError extends ConnectionError {
  override readonly name = 'NotConnectedError';
}

/** The answer does not have the form that the protocol promises. */
export class UnexpectedAnswerError extends RepositoryError {
  override readonly name = 'UnexpectedAnswerError';
}

/** The gateway answered with an error. */
export class RemoteError extends RepositoryError {
  override readonly name: string = 'RemoteError';

  constructor(
    message: string,
    /** The JSON-RPC error code. */
    readonly code: number,
    /** The gateway's own words about what is wrong. */
    readonly details: string | undefined,
    method?: string,
  ) {
    super(message, method);
  }
}

/** 401: a token is required, or the one given is wrong. */
export class UnauthorizedError extends RemoteError {
  override readonly name = 'UnauthorizedError';
}

/** -32602: a parameter is wrong; the details begin with its name. */
export class InvalidParametersError extends RemoteError {
  override readonly name = 'InvalidParametersError';
}

/** 413: the payload is larger than the gateway takes. */
export class MessageTooLargeError extends RemoteError {
  override readonly name = 'MessageTooLargeError';
}

/** 507: the queue of the connection, or the store, is full. */
export class QuotaExceededError extends RemoteError {
  override readonly name = 'QuotaExceededError';
}

/** 503: the store refuses at present. Retried until the call's time is up. */
export class ServiceUnavailableError extends RemoteError {
  override readonly name = 'ServiceUnavailableError';
}

/** 504: not done in the gateway's time. Retried until the call's time is up. */
export class DeadlineExceededError extends RemoteError {
  override readonly name = 'DeadlineExceededError';
}

const byCode = new Map<number, typeof RemoteError>([
  [401, UnauthorizedError],
  [-32602, InvalidParametersError],
  [413, MessageTooLargeError],
  [507, QuotaExceededError],
  [503, ServiceUnavailableError],
  [504, DeadlineExceededError],
]);

export interface ErrorAnswer {
  readonly code: number;
  readonly message: string;
  readonly details: string | undefined;
}

export function remoteError({ code, message, details }: ErrorAnswer, method: string): RemoteError {
  const text = details === undefined ? message : `${message}: ${details}`;
  const Kind = byCode.get(code) ?? RemoteError;
  return new Kind(`${method} failed: ${text} (${code})`, code, details, method);
}

/** Whether the same call may succeed a moment later. */
export function isPassing(error: ErrorAnswer): boolean {
  return error.code === 503 || error.code === 504;
}

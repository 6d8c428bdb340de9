// Node 18 has the Web Crypto API, but not as the global that libsodium takes its random bytes from.

import { webcrypto } from 'node:crypto';

globalThis.crypto ??= webcrypto;

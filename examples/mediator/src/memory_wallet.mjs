// A wallet in memory: keys, and the pack and unpack of DIDComm v1 (Aries RFC 0019) with libsodium.
// Its keys are lost when the process ends. A mediator of yours uses AskarModule instead, with a
// database that its instances share; the example has this one so that it starts anywhere.

// Before libsodium, which looks for it.
import './webcrypto.mjs';

import sodium from 'libsodium-wrappers';

import {
  Buffer,
  Key,
  KeyType,
  TypedArrayEncoder,
  WalletError,
  WalletKeyExistsError,
  WalletNotFoundError,
} from './credo.mjs';

await sodium.ready;

const encode = (bytes) => TypedArrayEncoder.toBase64URL(Buffer.from(bytes));
const decode = (text) => new Uint8Array(TypedArrayEncoder.fromBase64(text));
const keyBytes = (base58) => new Uint8Array(TypedArrayEncoder.fromBase58(base58));
const toCurve = (publicKey) => sodium.crypto_sign_ed25519_pk_to_curve25519(publicKey);
const toCurveSecret = (secret) => sodium.crypto_sign_ed25519_sk_to_curve25519(secret);

export class MemoryWallet {
  // Instances of one mediator are given the same map, as they would share a database.
  constructor(keys = new Map()) {
    this.keys = keys;
    this.isInitialized = false;
    this.isProvisioned = false;
    this.supportedKeyTypes = [KeyType.Ed25519];
  }

  async create() {
    this.isProvisioned = true;
  }

  async createAndOpen() {
    this.isProvisioned = true;
    this.isInitialized = true;
  }

  // Not found at first: so Credo creates it, and knows that there is no old storage to convert.
  async open() {
    if (!this.isProvisioned) {
      throw new WalletNotFoundError('the wallet is new', { walletType: 'MemoryWallet' });
    }
    this.isInitialized = true;
  }

  async close() {
    this.isInitialized = false;
  }

  async delete() {
    this.keys.clear();
    this.isInitialized = false;
  }

  async dispose() {
    this.isInitialized = false;
  }

  async rotateKey() {
    throw new WalletError('a wallet in memory has no key of its own');
  }

  async export() {
    throw new WalletError('a wallet in memory cannot be exported');
  }

  async import() {
    throw new WalletError('a wallet in memory cannot be imported');
  }

  async createKey({ keyType, seed, privateKey }) {
    if (keyType !== KeyType.Ed25519) throw new WalletError(`no keys of type ${keyType}`);
    const bytes = privateKey ?? seed;
    const pair = bytes
      ? sodium.crypto_sign_seed_keypair(new Uint8Array(bytes))
      : sodium.crypto_sign_keypair();
    const key = Key.fromPublicKey(Buffer.from(pair.publicKey), KeyType.Ed25519);
    if (this.keys.has(key.publicKeyBase58)) throw new WalletKeyExistsError('the key exists already');
    this.keys.set(key.publicKeyBase58, pair.privateKey);
    return key;
  }

  async sign({ data, key }) {
    const secret = this.secretOf(key.publicKeyBase58);
    return Buffer.from(sodium.crypto_sign_detached(new Uint8Array(data), secret));
  }

  async verify({ data, key, signature }) {
    return sodium.crypto_sign_verify_detached(
      new Uint8Array(signature),
      new Uint8Array(data),
      new Uint8Array(key.publicKey),
    );
  }

  async pack(payload, recipientKeys, senderVerkey) {
    const contentKey = sodium.crypto_aead_xchacha20poly1305_ietf_keygen();
    const recipients = recipientKeys.map((kid) =>
      senderVerkey ? this.authcrypt(contentKey, kid, senderVerkey) : anoncrypt(contentKey, kid),
    );
    const head = {
      enc: 'xchacha20poly1305_ietf',
      typ: 'JWM/1.0',
      alg: senderVerkey ? 'Authcrypt' : 'Anoncrypt',
      recipients,
    };
    const protectedHead = encode(JSON.stringify(head));
    const nonce = sodium.randombytes_buf(24);
    const { ciphertext, mac } = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
      JSON.stringify(payload),
      protectedHead,
      null,
      nonce,
      contentKey,
    );
    return {
      protected: protectedHead,
      iv: encode(nonce),
      ciphertext: encode(ciphertext),
      tag: encode(mac),
    };
  }

  async unpack(message) {
    const head = JSON.parse(Buffer.from(decode(message.protected)).toString('utf8'));
    const recipient = head.recipients.find(({ header }) => this.keys.has(header.kid));
    if (!recipient) throw new WalletError('the message is for none of the keys of this wallet');
    const { contentKey, senderKey } = this.contentKeyOf(recipient, head.alg);
    const nonce = decode(message.iv);
    const decrypt = head.enc.startsWith('xchacha')
      ? sodium.crypto_aead_xchacha20poly1305_ietf_decrypt_detached
      : sodium.crypto_aead_chacha20poly1305_ietf_decrypt_detached;
    const text = decrypt(
      null,
      decode(message.ciphertext),
      decode(message.tag),
      message.protected,
      nonce,
      contentKey,
    );
    return {
      plaintextMessage: JSON.parse(Buffer.from(text).toString('utf8')),
      senderKey,
      recipientKey: recipient.header.kid,
    };
  }

  async generateNonce() {
    return BigInt(`0x${Buffer.from(sodium.randombytes_buf(10)).toString('hex')}`).toString();
  }

  getRandomValues(length) {
    return sodium.randombytes_buf(length);
  }

  async generateWalletKey() {
    return TypedArrayEncoder.toBase58(Buffer.from(sodium.randombytes_buf(32)));
  }

  secretOf(publicKeyBase58) {
    const secret = this.keys.get(publicKeyBase58);
    if (!secret) throw new WalletError('the key is not in this wallet');
    return secret;
  }

  authcrypt(contentKey, kid, senderVerkey) {
    const publicKey = toCurve(keyBytes(kid));
    const secretKey = toCurveSecret(this.secretOf(senderVerkey));
    const nonce = sodium.randombytes_buf(sodium.crypto_box_NONCEBYTES);
    return {
      encrypted_key: encode(sodium.crypto_box_easy(contentKey, nonce, publicKey, secretKey)),
      header: {
        kid,
        sender: encode(sodium.crypto_box_seal(senderVerkey, publicKey)),
        iv: encode(nonce),
      },
    };
  }

  contentKeyOf({ encrypted_key: encryptedKey, header }, algorithm) {
    const publicKey = toCurve(keyBytes(header.kid));
    const secretKey = toCurveSecret(this.secretOf(header.kid));
    if (algorithm === 'Anoncrypt') {
      return { contentKey: sodium.crypto_box_seal_open(decode(encryptedKey), publicKey, secretKey) };
    }
    const senderBytes = sodium.crypto_box_seal_open(decode(header.sender), publicKey, secretKey);
    const senderKey = Buffer.from(senderBytes).toString('utf8');
    return {
      contentKey: sodium.crypto_box_open_easy(
        decode(encryptedKey),
        decode(header.iv),
        toCurve(keyBytes(senderKey)),
        secretKey,
      ),
      senderKey,
    };
  }
}

function anoncrypt(contentKey, kid) {
  const publicKey = toCurve(keyBytes(kid));
  return { encrypted_key: encode(sodium.crypto_box_seal(contentKey, publicKey)), header: { kid } };
}

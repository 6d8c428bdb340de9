// Credo 0.6's key management in memory with libsodium: Ed25519 keys, and what DIDComm v1 needs of
// encryption. For tests: the native one of Askar is not a part of any npm package.

import { randomBytes, randomUUID } from 'node:crypto';

import { Kms, TypedArrayEncoder } from '@credo-ts/core';
import sodium from 'libsodium-wrappers';

await sodium.ready;

const encode = (bytes) => TypedArrayEncoder.toBase64URL(bytes);
const decode = (text) => new Uint8Array(TypedArrayEncoder.fromBase64(text));
const supported = ['createKey', 'deleteKey', 'randomBytes', 'sign', 'verify', 'encrypt', 'decrypt'];

export class MemoryKeys {
  backend = 'memory';
  keys = new Map();

  isOperationSupported(_agentContext, { operation }) {
    return supported.includes(operation);
  }

  randomBytes(_agentContext, { length }) {
    return randomBytes(length);
  }

  async getPublicKey(_agentContext, keyId) {
    const pair = this.keys.get(keyId);
    return pair ? publicJwk(keyId, pair) : null;
  }

  async createKey(_agentContext, { type, keyId = randomUUID() }) {
    if (type.crv !== 'Ed25519') throw new Kms.KeyManagementError(`no keys of type ${type.crv ?? type.kty}`);
    const pair = sodium.crypto_sign_keypair();
    this.keys.set(keyId, pair);
    return { keyId, publicJwk: publicJwk(keyId, pair) };
  }

  async importKey() {
    throw new Kms.KeyManagementError('keys are not imported');
  }

  async deleteKey(_agentContext, { keyId }) {
    return this.keys.delete(keyId);
  }

  async sign(_agentContext, { keyId, data }) {
    return {
      signature: sodium.crypto_sign_detached(new Uint8Array(data), this.pairOf(keyId).privateKey),
    };
  }

  async verify(_agentContext, { key, data, signature }) {
    const jwk = key.publicJwk ?? publicJwk(key.keyId, this.pairOf(key.keyId));
    const verified = sodium.crypto_sign_verify_detached(
      new Uint8Array(signature),
      new Uint8Array(data),
      decode(jwk.x),
    );
    return verified ? { verified, publicJwk: jwk } : { verified };
  }

  async encrypt(_agentContext, { key, encryption, data }) {
    const text = new Uint8Array(data);
    if (key.privateJwk) {
      const iv = sodium.randombytes_buf(12);
      const { ciphertext, mac } = sodium.crypto_aead_chacha20poly1305_ietf_encrypt_detached(
        text,
        new Uint8Array(encryption.aad),
        null,
        iv,
        decode(key.privateJwk.k),
      );
      return { encrypted: ciphertext, iv, tag: mac };
    }
    const { keyId, externalPublicJwk } = key.keyAgreement;
    const theirs = decode(externalPublicJwk.x);
    if (!keyId) return { encrypted: sodium.crypto_box_seal(text, theirs) };
    const iv = sodium.randombytes_buf(24);
    return { encrypted: sodium.crypto_box_easy(text, iv, theirs, this.agreementOf(keyId).secret), iv };
  }

  async decrypt(_agentContext, { key, decryption, encrypted }) {
    const bytes = new Uint8Array(encrypted);
    if (key.privateJwk) {
      return {
        data: sodium.crypto_aead_chacha20poly1305_ietf_decrypt_detached(
          null,
          bytes,
          new Uint8Array(decryption.tag),
          new Uint8Array(decryption.aad),
          new Uint8Array(decryption.iv),
          decode(key.privateJwk.k),
        ),
      };
    }
    const { keyId, externalPublicJwk } = key.keyAgreement;
    const { open, secret } = this.agreementOf(keyId);
    if (!decryption.iv) return { data: sodium.crypto_box_seal_open(bytes, open, secret) };
    const iv = new Uint8Array(decryption.iv);
    return { data: sodium.crypto_box_open_easy(bytes, iv, decode(externalPublicJwk.x), secret) };
  }

  pairOf(keyId) {
    const pair = this.keys.get(keyId);
    if (!pair) throw new Kms.KeyManagementKeyNotFoundError(keyId, [this.backend]);
    return pair;
  }

  agreementOf(keyId) {
    const { publicKey, privateKey } = this.pairOf(keyId);
    return {
      open: sodium.crypto_sign_ed25519_pk_to_curve25519(publicKey),
      secret: sodium.crypto_sign_ed25519_sk_to_curve25519(privateKey),
    };
  }
}

function publicJwk(keyId, { publicKey }) {
  return { kty: 'OKP', crv: 'Ed25519', x: encode(publicKey), kid: keyId };
}

// Credo core 0.7 for didcomm 0.6: there is no didcomm 0.7 on npm. 0.7 has renamed what encodes texts, so
// that didcomm gets 0.6's encoders.

export * from 'credo-core-07';
export { JsonEncoder } from '../node_modules/@credo-ts/core/build/utils/JsonEncoder.mjs';
export { TypedArrayEncoder } from '../node_modules/@credo-ts/core/build/utils/TypedArrayEncoder.mjs';
export { base64ToBase64URL } from '../node_modules/@credo-ts/core/build/utils/base64.mjs';
export { Buffer } from '../node_modules/@credo-ts/core/build/utils/buffer.mjs';

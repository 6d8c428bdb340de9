// Push providers as they behave from outside: HTTP/2 servers on loopback that check what they are
// sent as strictly as the real ones, and answer what a test tells them to.

import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { join } from 'node:path';

import { jwtVerify } from 'jose';

import { authority } from './push_authority.mjs';
import { temporaryDirectory } from './server.mjs';
import { until } from './wait.mjs';

const servers = new Set();

export async function stopPushServers() {
  await Promise.all([...servers].map((server) => server.stop()));
}

// `answers` decides: a function of (push, attempt) that yields {status, headers, body}, 'silence'
// (no answer ever) or 'goaway' (refuses the stream and everything after it). `attempt` counts the
// pushes to the same token from 1.
class PushServer {
  constructor() {
    this.pushes = [];
    this.attempts = new Map();
    this.problems = []; // what a real provider would have refused
    this.sessions = new Set();
    this.sessionsOpened = 0;
    this.answers = () => this.accepted();
    servers.add(this);
  }

  get url() {
    return `https://127.0.0.1:${this.port}`;
  }

  async listen(port = 0) {
    const { key, cert } = authority();
    this.server = createSecureServer({ key, cert });
    this.server.on('session', (session) => {
      this.sessionsOpened += 1;
      this.sessions.add(session);
      session.on('close', () => this.sessions.delete(session));
      session.on('error', () => {});
    });
    this.server.on('sessionError', () => {});
    this.server.on('stream', (stream, headers) => this.receive(stream, headers));
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', resolve);
    });
    this.port = this.server.address().port;
    return this;
  }

  receive(stream, headers) {
    stream.on('error', () => {});
    let body = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk) => {
      body += chunk;
    });
    stream.on('end', async () => {
      try {
        await this.handle(stream, headers, body);
      } catch (error) {
        this.problems.push(error);
        this.respond(stream, { status: 400, body: { reason: String(error.message) } });
      }
    });
  }

  respond(stream, { status, headers = {}, body }) {
    if (stream.destroyed) return;
    stream.respond({ ':status': status, ...headers });
    stream.end(body === undefined ? '' : JSON.stringify(body));
  }

  async answer(stream, push) {
    const attempt = (this.attempts.get(push.token) ?? 0) + 1;
    this.attempts.set(push.token, attempt);
    push.at = Date.now();
    push.attempt = attempt;
    this.pushes.push(push);
    const answer = await this.answers(push, attempt);
    if (answer === 'silence') return;
    if (answer === 'goaway') {
      const { session } = stream;
      stream.close(7); // REFUSED_STREAM
      if (!session || session.closed) return;
      session.goaway(0, stream.id - 2);
      session.close();
      return;
    }
    this.respond(stream, answer);
  }

  to(token) {
    return this.pushes.filter((push) => push.token === token);
  }

  // Waits until there are `count` pushes to the token.
  async reached(token, count = 1, milliseconds = 10_000) {
    await until(
      () => {
        this.check();
        return this.to(token).length >= count;
      },
      `${count} pushes to ${token.slice(0, 12)}, there are ${this.to(token).length}`,
      milliseconds,
    );
    return this.to(token);
  }

  check() {
    if (this.problems.length > 0) throw this.problems[0];
  }

  // Closes everything; listen(port) brings it back.
  async close() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const session of this.sessions) session.destroy();
    await closed;
  }

  async stop() {
    servers.delete(this);
    if (this.server.listening) await this.close();
  }
}

// FCM HTTP v1 with its token server.
export class FcmServer extends PushServer {
  static async start(projects = ['mpr-test']) {
    const server = new FcmServer();
    await server.listen();
    server.projects = new Map(projects.map((id) => [id, server.newProject(id)]));
    return server;
  }

  newProject(id) {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const account = {
      type: 'service_account',
      project_id: id,
      private_key_id: 'key-1',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      client_email: `sender@${id}.iam.example`,
      token_uri: `${this.url}/token`,
    };
    const file = join(temporaryDirectory(), `${id}.json`);
    writeFileSync(file, JSON.stringify(account));
    return { id, publicKey, account, file, tokensMade: 0, token: undefined };
  }

  get env() {
    return {
      FIREBASE_CFG_FILE: [...this.projects.values()].map(({ file }) => file).join(','),
      MPR_FCM_URL: this.url,
      MPR_PUSH_CA_FILE: authority().caFile,
    };
  }

  accepted() {
    return { status: 200, body: { name: `projects/mpr-test/messages/${this.pushes.length}` } };
  }

  static error(status, rpcStatus, errorCode, more = {}) {
    const details = [
      { '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError', errorCode },
      ...(more.details ?? []),
    ];
    return {
      status,
      headers: more.headers ?? {},
      body: { error: { code: status, message: more.message ?? '', status: rpcStatus, details } },
    };
  }

  async handle(stream, headers, body) {
    if (headers[':path'] === '/token') return this.grant(stream, headers, body);
    const match = /^\/v1\/projects\/([^/]+)\/messages:send$/.exec(headers[':path']);
    assert.ok(match, `path ${headers[':path']}`);
    assert.equal(headers[':method'], 'POST');
    assert.equal(headers['content-type'], 'application/json');
    const project = this.projects.get(match[1]);
    assert.ok(project, `project ${match[1]}`);
    if (headers.authorization !== `Bearer ${project.token}`) {
      return this.respond(stream, FcmServer.error(401, 'UNAUTHENTICATED', 'UNAUTHENTICATED'));
    }
    const { message } = JSON.parse(body);
    this.checkMessage(message, body);
    await this.answer(stream, { token: message.token, project: project.id, message });
  }

  checkMessage(message, body) {
    assert.ok(Buffer.byteLength(body) <= 8192, 'request size');
    assert.equal(typeof message.token, 'string');
    for (const [name, value] of Object.entries(message.data)) {
      assert.equal(typeof value, 'string', `data.${name} has to be a string`);
    }
    const known = ['token', 'data', 'notification', 'android', 'apns'];
    for (const name of Object.keys(message)) assert.ok(known.includes(name), `message.${name}`);
    const { headers } = message.apns;
    for (const value of Object.values(headers)) assert.equal(typeof value, 'string');
    if (headers['apns-push-type'] === 'background') assert.equal(headers['apns-priority'], '5');
    assert.ok(Buffer.byteLength(headers['apns-collapse-id']) <= 64);
  }

  async grant(stream, headers, body) {
    assert.equal(headers['content-type'], 'application/x-www-form-urlencoded');
    const form = new URLSearchParams(body);
    assert.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer');
    const refusal = this.grantAnswers?.();
    if (refusal) return this.respond(stream, refusal);
    const assertion = form.get('assertion');
    const { iss } = JSON.parse(Buffer.from(assertion.split('.')[1], 'base64url'));
    const project = [...this.projects.values()].find((p) => p.account.client_email === iss);
    assert.ok(project, `issuer ${iss}`);
    const { payload } = await jwtVerify(assertion, project.publicKey, {
      algorithms: ['RS256'],
      issuer: project.account.client_email,
      audience: project.account.token_uri,
      requiredClaims: ['iat', 'exp', 'scope'],
    });
    assert.equal(payload.scope, 'https://www.googleapis.com/auth/firebase.messaging');
    assert.ok(payload.exp - payload.iat <= 3600, 'exp is at most an hour after iat');
    assert.ok(Math.abs(payload.iat - Date.now() / 1000) < 30, 'iat is now');
    project.tokensMade += 1;
    project.token = `ya29.access-token-${project.id}-${project.tokensMade}`;
    this.respond(stream, {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: { access_token: project.token, expires_in: this.life ?? 3599, token_type: 'Bearer' },
    });
  }
}

// APNs with token authentication.
export class ApnsServer extends PushServer {
  static async start() {
    const server = new ApnsServer();
    await server.listen();
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const directory = temporaryDirectory();
    server.publicKey = publicKey;
    server.p8 = privateKey.export({ type: 'pkcs8', format: 'pem' });
    server.keyFile = join(directory, 'AuthKey_ABC123DEFG.p8');
    server.configFile = join(directory, 'apns.json');
    writeFileSync(server.keyFile, server.p8);
    writeFileSync(
      server.configFile,
      JSON.stringify({ keyId: 'ABC123DEFG', teamId: 'DEF123GHIJ', production: false }),
    );
    server.providerTokens = new Set();
    return server;
  }

  get env() {
    return {
      APNS_CFG_FILE: this.configFile,
      APNS_PATH_KEY: this.keyFile,
      APNS_TOPIC: 'org.example.wallet',
      MPR_APNS_URL: this.url,
      MPR_PUSH_CA_FILE: authority().caFile,
    };
  }

  accepted() {
    return { status: 200 };
  }

  static error(status, reason, more = {}) {
    return { status, headers: more.headers ?? {}, body: { reason, ...(more.body ?? {}) } };
  }

  async handle(stream, headers, body) {
    const match = /^\/3\/device\/([0-9a-f]+)$/.exec(headers[':path']);
    assert.ok(match, `path ${headers[':path']}`);
    assert.equal(headers[':method'], 'POST');
    assert.equal(headers['apns-topic'], 'org.example.wallet');
    assert.ok(['alert', 'background'].includes(headers['apns-push-type']));
    const priority = headers['apns-push-type'] === 'background' ? '5' : '10';
    assert.equal(headers['apns-priority'], priority);
    assert.ok(Number(headers['apns-expiration']) > Date.now() / 1000, 'apns-expiration');
    assert.ok(Buffer.byteLength(headers['apns-collapse-id']) <= 64);
    assert.ok(Buffer.byteLength(body) <= 4096, 'payload size');
    const jwt = /^bearer (.+)$/.exec(headers.authorization)?.[1];
    this.providerTokens.add(jwt);
    const { payload, protectedHeader } = await jwtVerify(jwt, this.publicKey, {
      algorithms: ['ES256'],
      issuer: 'DEF123GHIJ',
      requiredClaims: ['iat'],
    });
    assert.equal(protectedHeader.kid, 'ABC123DEFG');
    assert.ok(Math.abs(payload.iat - Date.now() / 1000) < 3600, 'iat is of the last hour');
    await this.answer(stream, { token: match[1], headers, payload: JSON.parse(body), jwt });
  }
}

// A service of the operator's own.
export class WebhookServer extends PushServer {
  static async start(secret = 'webhook-secret-0123456789') {
    const server = new WebhookServer();
    server.secret = secret;
    return server.listen();
  }

  get env() {
    return {
      MPR_WEBHOOK_URL: `${this.url}/push`,
      MPR_WEBHOOK_SECRET: this.secret,
      MPR_PUSH_CA_FILE: authority().caFile,
    };
  }

  accepted() {
    return { status: 204 };
  }

  async handle(stream, headers, body) {
    assert.equal(headers[':path'], '/push');
    assert.equal(headers['content-type'], 'application/json');
    const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers['x-mpr-signature']);
    assert.ok(Math.abs(Number(time) - Date.now() / 1000) < 30, 'the time of the signature is now');
    const expected = createHmac('sha256', this.secret).update(`${time}.${body}`).digest('hex');
    assert.equal(signature, expected);
    const json = JSON.parse(body);
    await this.answer(stream, { token: json.token, json });
  }
}

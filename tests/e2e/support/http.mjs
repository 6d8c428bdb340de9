// One HTTP request on a connection of its own.

import { request as httpRequest } from 'node:http';

export function request(url, { method = 'GET' } = {}) {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(url, { method, agent: false, timeout: 5000 }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk) => {
        body += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body }));
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer from ${url}`)));
    outgoing.on('error', reject);
    outgoing.end();
  });
}
